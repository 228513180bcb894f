"""What keeps an optimized point close to the ones its generator makes. Each is one equation."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor

from invert.latents.distributions import group_means

SMALLEST_NOISE = 8  # side, [K] appendix D


def noise_regularization(maps: Iterable[Tensor]) -> Tensor | float:
    """Σ (mean n·roll(n, 1))² over both axes, all maps [N, 1, H, W] and their 2× averages down to 8
    px.

    Near zero for white noise; grows as maps start to carry the picture. Smaller maps are left
    alone. [K] appendix D,
    [S] algorithm 1.
    """
    total: Tensor | float = 0.0
    for n in maps:
        while min(n.shape[2:]) >= SMALLEST_NOISE:
            for axis in (2, 3):
                total = total + (n * n.roll(1, axis)).mean(dim=(1, 2, 3)).square().sum()
            n = F.avg_pool2d(n, 2)
    return total


def standardize(maps: Iterable[Tensor]) -> None:
    """Set every map [N, 1, H, W] to zero mean and unit variance, in place ([K] appendix D)."""
    for n in maps:
        n -= n.mean(dim=(1, 2, 3), keepdim=True)
        n *= n.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()


def distribution_regularization(values: Tensor, ordered: Tensor) -> Tensor:
    """MSE(sorted(S), T) of the values S [N, …] of a part and the sorted values T of generated ones
    ([S] eq. 7.2).
    """
    rows = values.flatten(1).sort(dim=1).values
    return F.mse_loss(rows, group_means(ordered, rows.shape[1]).expand_as(rows))
