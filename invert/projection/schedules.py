"""Learning-rate factors in [0, 1] by step."""

from __future__ import annotations

import math


def warmup_cooldown(step: int, steps: int, warmup: int, cooldown: float) -> float:
    """Linear up over the first `warmup` steps, constant, cosine down to zero over the last
    `cooldown` (0 to 1) of all.

    [S] chapter 6 is (50, 0); [K] appendix D is (5 % of the steps, 0.25).
    """
    up = min(1.0, (step + 1) / warmup) if warmup else 1.0
    left = 1 - step / max(steps, 1)
    down = min(1.0, left / cooldown) if cooldown else 1.0
    return up * (0.5 - 0.5 * math.cos(math.pi * down))
