"""Which points of a batch are computed together."""

from __future__ import annotations

import torch


def passes(device: torch.device, count: int) -> list[slice]:
    """The passes of `count` points: all in one on a GPU, each alone on a CPU.

    On a CPU sums of a batch are rounded otherwise than those of one point, so a point would depend
    on what else is computed; and a batch is no faster there.
    """
    return single_passes(count) if device.type == "cpu" else [slice(0, count)]


def single_passes(count: int) -> list[slice]:
    """One pass for each of `count` points."""
    return [slice(k, k + 1) for k in range(count)]
