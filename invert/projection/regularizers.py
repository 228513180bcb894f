"""Regularizers that keep a point close to those its generator makes, each one equation."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.latents.distributions import ascending, group_means

SMALLEST_NOISE = 8  # side, [K] appendix D


def noise_regularization(maps: Iterable[Tensor]) -> Tensor:
    """Σ (mean n·roll(n, 1))² over both axes and every scale of maps [N, 1, H, W], for each of N.

    Scales are the map and its 2× averages down to 8 px; smaller maps are left alone. Near zero for
    white noise, it grows as maps begin to hold the picture. [K] appendix D, [S] algorithm 1.
    """
    total = torch.zeros(())

    # All maps of a size at once, from the largest size on; their averages join those of the next.
    sizes: dict[tuple[int, ...], list[Tensor]] = {}
    for n in maps:
        sizes.setdefault(tuple(n.shape[2:]), []).append(n)
    while sizes:
        height, width = max(sizes)
        n = torch.cat(sizes.pop((height, width)), 1)  # [N, maps, H, W]
        if min(height, width) < SMALLEST_NOISE:
            continue
        for axis in (2, 3):
            total = total + (n * n.roll(1, axis)).mean(dim=(2, 3)).square().sum(1)
        sizes.setdefault((height // 2, width // 2), []).append(F.avg_pool2d(n, 2))
    return total


def standardize(maps: Iterable[Tensor]) -> None:
    """Set every map [N, 1, H, W] to zero mean and unit variance, in place ([K] appendix D).

    A map of one cell stays as it is, and a constant one becomes 0.
    """
    for n in maps:
        if n.shape[2:].numel() > 1:
            n -= n.mean(dim=(1, 2, 3), keepdim=True)
            variance = n.square().mean(dim=(1, 2, 3), keepdim=True)
            n *= variance.clamp_min_(torch.finfo(n.dtype).tiny).rsqrt_()


def distribution_regularization(values: Tensor, ordered: Tensor) -> Tensor:
    """MSE(sorted(S), T) [N] of a part's values S and generated ones T ([S] eq. 7.2).

    S [N, …] is sorted per point; `ordered` [m] is ascending, and T the means of as many equal
    groups of it as S has values.
    """
    rows = ascending(values.flatten(1))
    target = group_means(ordered, rows.shape[1]).expand_as(rows)
    return squared_error(rows, target)


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """mean (x − y)² of each of N points [N, …]."""
    if len(x) == 1:
        return F.mse_loss(x, y)[None]  # one kernel, where a mean by axes takes two
    return F.mse_loss(x, y, reduction="none").flatten(1).mean(1)
