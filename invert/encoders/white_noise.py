"""Noise for a whole batch at the price of one map."""

from __future__ import annotations

import torch
from torch import Tensor


def white_noise(
    count: int, channels: int, size: tuple[int, int], random: torch.Generator, like: Tensor
) -> Tensor:
    """Gaussian noise [count, channels, *size] of unit variance, on the device of `like`.

    One field is drawn on the CPU, as every device's own numbers would differ. Each of the maps is
    that field rolled by its own random offsets: as white as a new one, and nothing is repeated at
    the same place.
    """
    height, width = size
    field = torch.randn(channels, height, width, generator=random, dtype=torch.float32).to(like)
    down = torch.randint(height, (count, 1), generator=random)
    right = torch.randint(width, (count, 1), generator=random)

    # Rows and columns of the field that each map reads.
    rows = ((torch.arange(height) + down) % height).to(like.device)[:, :, None]
    columns = ((torch.arange(width) + right) % width).to(like.device)[:, None, :]
    return field[:, rows, columns].transpose(0, 1)
