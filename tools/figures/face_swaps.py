"""The middle of one projected face in another (figures 6.10 and 6.11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from studio import Studio
from targets import faces
from torch import Tensor

from edits.masks import feathered
from edits.mixer import mix
from invert.latents.latent import Latent

STEPS = 200
PAIRS = ((0, 1), (1, 0), (2, 0))  # numbers of the images: the face, and whose middle it gets
OVAL = (0.5, 0.56, 0.19, 0.23)  # x, y and half axes as fractions of the side: brows to chin
FEATHER = 1 / 16


@dataclass(frozen=True)
class Pair:
    """Two projections in FNSW5 with their names and pictures."""

    names: tuple[str, str]
    points: tuple[Latent, Latent]
    pictures: tuple[Tensor, Tensor]


def oval(side: int) -> Tensor:
    """The mask [1, 1, side, side] of the middle of an aligned face, with a soft edge."""
    x, y, a, b = OVAL
    grid = (torch.arange(side) + 0.5) / side
    inside = ((grid[None] - x) / a) ** 2 + ((grid[:, None] - y) / b) ** 2 < 1
    return feathered(inside[None, None].float(), FEATHER * side)


def pairs(studio: Studio) -> Iterator[Pair]:
    """The pairs of projections, converted."""
    images = faces(studio.generator, 3)
    made = [studio.project(image, "FNW5", STEPS) for image in images.values()]
    points = [studio.generator.convert(p.latent, "FNSW5") for p in made]
    names = list(images)
    for a, b in PAIRS[: studio.count(len(PAIRS))]:
        yield Pair((names[a], names[b]), (points[a], points[b]), (made[a].image, made[b].image))


def swapped(studio: Studio, pair: Pair, keep_styles: int) -> Tensor:
    """The first face with the middle of the second, the last styles the first's."""
    mask = oval(studio.generator.resolution)
    return studio.generator.render(
        mix(studio.generator, *pair.points, mask, keep_styles=keep_styles)
    )


def colour(image: Tensor, mask: Tensor) -> Tensor:
    """Mean colour [3] under a mask."""
    return (image.clamp(-1, 1) * mask).mean(dim=(0, 2, 3)) / mask.mean()


def colour_distance(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Mean absolute difference of mean colours under the mask, as a fraction of the range."""
    return (colour(a, mask) - colour(b, mask)).abs().mean().item() / 2
