"""Images that no w makes: what photographs have and generated faces lack.

Every function takes a batch [N, 3, H, W] in [−1, 1] and gives one like it. Each image has its own
values, drawn from a generator of the CPU, so that they are the same on every device. An image is
clamped only where its colours are changed and at the end.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.encoders.white_noise import white_noise

PATCHES = 4  # cells a side from which a mixture's mask is interpolated
STEEPNESS = 8.0  # of that mask's edges
REACH = 4  # pixels a side of a blur's kernel


def warped(images: Tensor, random: torch.Generator) -> Tensor:
    """All warps in turn. An image is mixed with the one before it."""
    x = placed(images, random)
    x = mixed(x, x.roll(1, 0), random)
    x = recoloured(x, random)
    x = mirrored(x, random)
    x = blurred(x, random)
    return noisy(x, random).clamp(-1, 1)


def placed(images: Tensor, random: torch.Generator, share: float = 0.8) -> Tensor:
    """Turned by up to 17°, scaled by 0.70 to 1.42 and moved by up to ⅛ of a side; `share` of them.

    What comes in is the mirror image.
    """
    n, height, width = len(images), images.shape[2], images.shape[3]
    angle = uniform(n, -0.3, 0.3, random)
    scale = uniform(n, -0.35, 0.35, random).exp()
    move = uniform((n, 2), -0.25, 0.25, random)  # sides are 2 long
    cosine, sine = angle.cos() * scale, angle.sin() * scale

    # Rows of the inverse map; grids have square cells only where images are square.
    aspect = height / width
    x = torch.stack([cosine, -sine * aspect, move[:, 0]], 1)
    y = torch.stack([sine / aspect, cosine, move[:, 1]], 1)
    matrix = torch.stack([x, y], 1).to(images)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return torch.where(chosen(n, share, random, images), moved, images)


def mixed(images: Tensor, others: Tensor, random: torch.Generator, share: float = 0.35) -> Tensor:
    """A smooth mixture with the image of the same row of `others`; `share` of them."""
    n = len(images)
    cells = torch.randn(n, 1, PATCHES, PATCHES, generator=random, dtype=torch.float32).to(images)
    wide = F.interpolate(cells, images.shape[2:], mode="bicubic", align_corners=False)
    mask = torch.sigmoid(STEEPNESS * wide) * chosen(n, share, random, images)
    return images + mask * (others - images)


def recoloured(images: Tensor, random: torch.Generator) -> Tensor:
    """Gamma 0.67 to 1.49, saturation 0.4 to 1.6, and per channel gain 0.75 to 1.25 and offset up to
    0.1 of the range.
    """
    n = len(images)
    gamma = uniform((n, 1, 1, 1), -0.4, 0.4, random).exp().to(images)
    x = ((images + 1) / 2).clamp(0, 1) ** gamma

    saturation = uniform((n, 1, 1, 1), 0.4, 1.6, random).to(images)
    grey = x.mean(1, keepdim=True)
    x = grey + saturation * (x - grey)

    gain = uniform((n, 3, 1, 1), 0.75, 1.25, random).to(images)
    offset = uniform((n, 3, 1, 1), -0.1, 0.1, random).to(images)
    return (x * gain + offset).clamp(0, 1) * 2 - 1


def mirrored(images: Tensor, random: torch.Generator, share: float = 0.5) -> Tensor:
    """Left and right exchanged; `share` of them."""
    return torch.where(chosen(len(images), share, random, images), images.flip(3), images)


def blurred(images: Tensor, random: torch.Generator, share: float = 0.5) -> Tensor:
    """Blurred by a Gaussian of 0.3 to 1.5 px; `share` of them."""
    n, channels, height, width = images.shape
    sigma = uniform((n, 1), 0.3, 1.5, random)
    taps = torch.exp(-0.5 * (torch.arange(-REACH, REACH + 1) / sigma) ** 2)
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(channels, 0).to(images)

    # One group per channel of each image; down the columns, then along the rows.
    x = F.pad(images, (REACH,) * 4, mode="reflect")
    x = x.reshape(1, n * channels, height + 2 * REACH, width + 2 * REACH)
    x = F.conv2d(x, taps[:, None, :, None], groups=n * channels)
    x = F.conv2d(x, taps[:, None, None, :], groups=n * channels).reshape(images.shape)
    return torch.where(chosen(n, share, random, images), x, images)


def noisy(images: Tensor, random: torch.Generator) -> Tensor:
    """White noise of standard deviation 0 to 0.04 added."""
    n, channels, height, width = images.shape
    strength = uniform((n, 1, 1, 1), 0.0, 0.04, random).to(images)
    return images + strength * white_noise(n, channels, (height, width), random, images)


def uniform(
    size: int | tuple[int, ...], low: float, high: float, random: torch.Generator
) -> Tensor:
    """Numbers between low and high, on the CPU."""
    return low + (high - low) * torch.rand(size, generator=random, dtype=torch.float32)


def chosen(count: int, share: float, random: torch.Generator, like: Tensor) -> Tensor:
    """[count, 1, 1, 1], true for about `share` of them, on the device of `like`."""
    return (torch.rand(count, 1, 1, 1, generator=random, dtype=torch.float32) < share).to(
        like.device
    )
