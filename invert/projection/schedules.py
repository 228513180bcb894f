"""Learning-rate factors in [0, 1] by step."""

from __future__ import annotations

import math


def warmup_cooldown(step: int, steps: int, warmup: int, cooldown: float) -> float:
    """Linear rise over `warmup` steps, constant, cosine fall to 0 over the last `cooldown` of all.

    `cooldown` is a fraction, 0 to 1. (warmup, cooldown) is (50, 0) in [S] chapter 6, and (5 % of
    the steps, 0.25) in [K] appendix D.
    """
    up = min(1.0, (step + 1) / warmup) if warmup else 1.0
    left = 1 - step / max(steps, 1)
    down = min(1.0, left / cooldown) if cooldown else 1.0
    return up * (0.5 - 0.5 * math.cos(math.pi * down))
