"""Learning-rate factors in [0, 1] by step."""

from __future__ import annotations

import math


def warmup(step: int, steps: int, ramp: int) -> float:
    """Linear from 1/ramp to 1 over the first `ramp` steps, then constant ([S] chapter 6)."""
    return min(1.0, (step + 1) / ramp) if ramp else 1.0


def ramp_up_cosine_down(step: int, steps: int, up: float = 0.05, down: float = 0.25) -> float:
    """Linear up over the first 5 %, cosine down to zero over the last 25 % of the steps ([K] appendix D)."""
    t = step / steps
    factor = min(1.0, (1 - t) / down)
    return (0.5 - 0.5 * math.cos(factor * math.pi)) * min(1.0, t / up)
