"""The pictures that figures project: the portrait, generated faces, and what is made of them.

All are tensors [1, 3, H, W] in [−1, 1] with 8-bit values, as read from a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.errors import UsageError
from invert.generator import Generator
from invert.images.crops import crop_to
from invert.images.images import area_downscale, read_image, to_pil, to_tensor

PORTRAIT = Path(__file__).resolve().parents[2] / "examples" / "portrait.png"
FIRST_SEED = 1000  # of the faces that benchmarks/spaces.py projects too
PSI = 0.7

Border = Literal["reflect", "replicate"]


def portrait(generator: Generator) -> Tensor:
    """The example photograph at the generator's size."""
    picture = read_image(PORTRAIT)
    side = generator.resolution
    return to_tensor(crop_to(picture, (0, 0, picture.width), (side, side)))


def generated(generator: Generator, seed: int) -> Tensor:
    """A face of the generator with noise that no projection starts from."""
    return eight_bit(generator.render(generator.sample(seed, psi=PSI), "random", seed=seed))


def faces(generator: Generator, count: int) -> dict[str, Tensor]:
    """`count` pictures by name: the portrait, then generated faces."""
    images = {"portrait": portrait(generator)}
    for seed in range(FIRST_SEED, FIRST_SEED + count - 1):
        images[f"seed {seed}"] = generated(generator, seed)
    return images


def eight_bit(image: Tensor) -> Tensor:
    """The image as a file would hold it."""
    return to_tensor(to_pil(image))


def shifted(image: Tensor, pixels: int, border: Border = "replicate") -> Tensor:
    """The content moved right by `pixels` on a canvas of the same size; what comes in is the
    border, drawn out, or
    mirrored ("reflect"). Raises :class:`UsageError` for a shift of the whole width or more."""
    width = image.shape[3]
    if not abs(pixels) < width:
        raise UsageError(f"expected a shift of less than {width} px, got {pixels}")
    padded = F.pad(image, (max(pixels, 0), max(-pixels, 0), 0, 0), mode=border)
    return padded[..., max(-pixels, 0) :][..., :width]


def two_people(left: Tensor, right: Tensor) -> Tensor:
    """Two square pictures of one size side by side; a mirrored strip of each, 1/16 wide, softens
    the seam.
    """
    if left.shape != right.shape:
        raise UsageError(
            f"expected two pictures of one size, got {list(left.shape)} and {list(right.shape)}"
        )
    width = left.shape[3]
    reach = width // 32
    wide_left = F.pad(left, (0, width, 0, 0), mode="replicate").clone()
    wide_right = F.pad(right, (width, 0, 0, 0), mode="replicate").clone()
    wide_left[..., width : width + reach] = left[..., width - reach :].flip(3)
    wide_right[..., width - reach : width] = right[..., :reach].flip(3)
    column = torch.arange(2 * width, dtype=left.dtype) + 0.5
    weight = ((column - (width - reach)) / (2 * reach)).clamp(0, 1)
    return eight_bit(torch.lerp(wide_left, wide_right, weight.expand_as(wide_left)))


# Where FFHQ's alignment puts things, as fractions of the side.
RIGHT_EYE = (0.63, 0.45, 0.11, 0.095)  # x, y and half axes of an ellipse that holds the brow too
CHEEK = (0.62, 0.585, 0.07)  # x, y and side of a square of plain skin
FILL_SIDE = 128
FILL_STEPS = 1500


def one_eyed(image: Tensor) -> Tensor:
    """An aligned face whose eye on the viewer's right is skin: smoothly filled, with the texture of
    the cheek.
    """
    side = image.shape[2]
    x, y, a, b = RIGHT_EYE
    grid = (torch.arange(side, dtype=image.dtype) + 0.5) / side
    radius = (((grid[None] - x) / a) ** 2 + ((grid[:, None] - y) / b) ** 2).sqrt()[None, None]
    inside = ((1 - radius) / 0.15 + 0.5).clamp(0, 1)  # 1 in the ellipse, soft at its edge
    return eight_bit(
        torch.lerp(image, smooth_fill(image, radius < 1.1) + cheek_texture(image), inside)
    )


def cheek_texture(image: Tensor) -> Tensor:
    """The fine detail of the cheek, mirrored again and again over an image of the same size."""
    side = image.shape[2]
    left, top, size = (round(f * side) for f in CHEEK)
    detail = (image - blurred(image, max(1, side // 64)))[..., top : top + size, left : left + size]
    pair = torch.cat([detail, detail.flip(3)], 3)
    four = torch.cat([pair, pair.flip(2)], 2)
    count = -(-side // four.shape[2])
    return four.repeat(1, 1, count, count)[..., :side, :side]


def smooth_fill(image: Tensor, hole: Tensor) -> Tensor:
    """The image with the hole [1, 1, H, W] filled by the solution of Laplace's equation, made at
    128 px.
    """
    small = area_downscale(image, FILL_SIDE)
    gap = F.interpolate(hole.to(image.dtype), small.shape[2:], mode="area") > 0
    kernel = (
        torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=image.dtype)[None, None].expand(
            3, -1, -1, -1
        )
        / 4
    )
    filled = small
    for _ in range(FILL_STEPS):
        mean = F.conv2d(F.pad(filled, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
        filled = torch.where(gap, mean, small)
    return F.interpolate(filled, image.shape[2:], mode="bicubic", align_corners=False)


def blurred(image: Tensor, reach: int) -> Tensor:
    """Means over squares of 2·reach + 1 pixels."""
    size = 2 * reach + 1
    return F.avg_pool2d(image, size, 1, padding=reach, count_include_pad=False)
