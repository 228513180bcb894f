"""Augmentations of what the discriminator sees, and their adaptive probability (ADA).

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data": the same random
transformations for real and generated images do not leak into the generator as long as each one is
applied with a probability well below 1, and that probability follows how far the discriminator
overfits. Here all geometric transformations are one affine map of the coordinates, sampled
bilinearly, and all colour transformations one matrix, so that everything is differentiable twice,
which R1 needs. The original filters with wavelets instead, and has three rarer transformations.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

SHIFT = 0.125  # of the side, the most that an image is moved
SCALE_STD = 0.2  # of the logarithm to base 2
BRIGHTNESS_STD = 0.2
CONTRAST_STD = 0.5  # of the logarithm to base 2
SATURATION_STD = 1.0  # of the logarithm to base 2
ADA_IMAGES = 500_000  # real images over which the probability rises from 0 to 1 at the fastest


class Randomness:
    """Per-image random values beside `probability`, with which each transformation happens.

    They are drawn on the CPU, by `random`.
    """

    def __init__(self, count: int, probability: Tensor, random: torch.Generator) -> None:
        self.count, self.probability, self.random = count, probability, random

    def uniform(self) -> Tensor:
        """[N] in [0, 1)."""
        return torch.rand(self.count, generator=self.random, dtype=torch.float32).to(
            self.probability
        )

    def normal(self) -> Tensor:
        """[N], N(0, 1)."""
        return torch.randn(self.count, generator=self.random, dtype=torch.float32).to(
            self.probability
        )

    def maybe(self, value: Tensor, neutral: float) -> Tensor:
        """`value` [N] where the transformation happens, `neutral` elsewhere."""
        return torch.where(self.uniform() < self.probability, value, neutral)


def augment(images: Tensor, probability: Tensor, random: torch.Generator) -> Tensor:
    """Images [N, 3, H, W], transformed at random; as they are for a probability of 0.

    `probability` is a scalar on the device, which never has to be read.
    """
    chance = Randomness(len(images), probability, random)
    images = warp(images, random_maps(chance))
    return recolour(images, *random_colours(chance))


def random_maps(chance: Randomness) -> Tensor:
    """Affine maps [N, 2, 3] from places of the result to places of the image, in half sides."""
    one = torch.ones_like(chance.uniform())

    # Mirrored, turned by quarters, and moved by up to an eighth.
    mirror = chance.maybe(1 - 2 * (chance.uniform() < 0.5).float(), 1.0)
    angle = chance.maybe((chance.uniform() * 4).floor() * (math.pi / 2), 0.0)
    dx = chance.maybe((2 * chance.uniform() - 1) * 2 * SHIFT, 0.0)
    dy = chance.maybe((2 * chance.uniform() - 1) * 2 * SHIFT, 0.0)

    # Scaled, and turned by any angle.
    scale = torch.exp2(chance.maybe(chance.normal() * SCALE_STD, 0.0))
    angle = angle + chance.maybe((2 * chance.uniform() - 1) * math.pi, 0.0)

    c, s = scale * angle.cos(), scale * angle.sin()
    rows = [torch.stack([c * mirror, -s, dx * one], -1), torch.stack([s * mirror, c, dy * one], -1)]
    return torch.stack(rows, 1)


def warp(images: Tensor, maps: Tensor) -> Tensor:
    """Images sampled bilinearly at affine maps [N, 2, 3] of their places; borders are mirrored.

    As gathered neighbours, not `grid_sample`, which has no second derivative.
    """
    count, channels, height, width = images.shape

    # Places in half sides, (x, y) from −1 to 1 between the outer edges, then in pixels.
    y, x = (
        (torch.arange(side, device=images.device, dtype=torch.float32) + 0.5) * (2 / side) - 1
        for side in (height, width)
    )
    rows = [x.expand(height, -1), y[:, None].expand(-1, width), torch.ones(height, width)]
    places = torch.stack([row.to(maps) for row in rows]).flatten(1)
    px, py = (maps @ places).unbind(1)  # [N, H · W]
    px = mirrored((px + 1) * (width / 2) - 0.5, width)
    py = mirrored((py + 1) * (height / 2) - 0.5, height)

    # The four neighbours and their shares.
    x0, y0 = px.floor(), py.floor()
    fx, fy = (px - x0)[:, None], (py - y0)[:, None]
    x0, y0 = x0.long(), y0.long()
    x1, y1 = (x0 + 1).clamp(max=width - 1), (y0 + 1).clamp(max=height - 1)

    flat = images.flatten(2)

    def at(row: Tensor, column: Tensor) -> Tensor:
        index = (row * width + column)[:, None].expand(-1, channels, -1)
        return flat.gather(2, index)

    top = at(y0, x0) * (1 - fx) + at(y0, x1) * fx
    bottom = at(y1, x0) * (1 - fx) + at(y1, x1) * fx
    return (top * (1 - fy) + bottom * fy).view(count, channels, height, width)


def mirrored(place: Tensor, length: int) -> Tensor:
    """Places folded into [0, length − 1] at the centres of the first and the last pixel.

    Rounded to a 4096th of a pixel, so that whole places stay whole.
    """
    period = 2 * (length - 1)
    place = (place * 4096).round() / 4096
    place = place.remainder(period)
    return torch.minimum(place, period - place)


def random_colours(chance: Randomness) -> tuple[Tensor, Tensor]:
    """Colour matrices [N, 3, 3] and offsets [N, 3]: brightness, contrast, hue, saturation."""
    brightness = chance.maybe(chance.normal() * BRIGHTNESS_STD, 0.0)
    contrast = torch.exp2(chance.maybe(chance.normal() * CONTRAST_STD, 0.0))
    hue = chance.maybe((2 * chance.uniform() - 1) * math.pi, 0.0)
    saturation = torch.exp2(chance.maybe(chance.normal() * SATURATION_STD, 0.0))

    # A turn about the grey axis v (Rodrigues), of which the part along v keeps its size.
    like: dict[str, Any] = {"dtype": hue.dtype, "device": hue.device}
    v = torch.full((3,), 1 / math.sqrt(3), **like)
    along = torch.outer(v, v)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], **like) / math.sqrt(3)
    eye = torch.eye(3, **like)
    cos, sin, sat = (value[:, None, None] for value in (hue.cos(), hue.sin(), saturation))
    turned = cos * (eye - along) + sin * cross
    matrix = contrast[:, None, None] * (along + sat * turned)
    return matrix, (contrast * brightness)[:, None].expand(-1, 3)


def recolour(images: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """Every pixel's colour times a matrix [N, 3, 3], plus an offset [N, 3]."""
    pixels = torch.baddbmm(offset[:, :, None], matrix, images.flatten(2))
    return pixels.view_as(images)


def adapted(probability: Tensor, signs: Tensor, target: float, images: int) -> Tensor:
    """The next probability, after `images` real images with mean sign `signs` of their logits.

    It moves towards where r_t = E sign(D(x)) is `target`: up when the discriminator is surer.
    """
    step = torch.sign(signs - target) * (images / ADA_IMAGES)
    return (probability + step).clamp(0, 1)
