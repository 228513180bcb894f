"""Factors of the learning rate and of weights in [0, 1], by step."""

from __future__ import annotations

import math

RISE = (0.45, 0.75)  # fractions of the steps between which a weight rises


def warmup_cooldown(step: int, steps: int, warmup: int, cooldown: float) -> float:
    """Linear rise over `warmup` steps, constant, cosine fall to 0 over the last `cooldown` of all.

    `cooldown` is a fraction, 0 to 1. (warmup, cooldown) is (50, 0) in [S] chapter 6, and (5 % of
    the steps, 0.25) in [K] appendix D.
    """
    up = min(1.0, (step + 1) / warmup) if warmup else 1.0
    left = 1 - step / max(steps, 1)
    down = min(1.0, left / cooldown) if cooldown else 1.0
    return up * (0.5 - 0.5 * math.cos(math.pi * down))


def late_rise(step: int, steps: int, start: float) -> float:
    """`start` in the first 45 % of the steps, then a linear rise to 1 at 75 % of them."""
    risen = (step / max(steps, 1) - RISE[0]) / (RISE[1] - RISE[0])
    return start + (1 - start) * min(1.0, max(0.0, risen))
