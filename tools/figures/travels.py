"""A row of pictures under a travelling mask, and how well each stays what it should be away from
the mask's edge.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import mean
from typing import Any

from seams import change_outside
from sheet import Sheet, Tile
from studio import Studio

from edits.style_mixing import Travel, frames, interpolate, travelling_mask
from invert.latents.latent import Latent

FRAMES = 7


def travel_row(
    studio: Studio, sheet: Sheet, label: str, a: Latent, b: Latent, travel: Travel
) -> dict[str, Any]:
    """Add the pictures from a to b to the sheet; their numbers.

    elsewhere   mean difference, more than the soft edge away from it, from the face that should be
                there
    evenness    the largest perceptual step between neighbouring pictures over the mean step
    """
    generator = studio.generator
    pictures = [generator.render(point) for point in frames(generator, a, b, FRAMES, travel)]
    times = [k / (FRAMES - 1) for k in range(FRAMES)]
    tiles = [Tile(picture, f"t = {t:.2f}") for picture, t in zip(pictures, times, strict=True)]
    sheet.row(f"{label}, mask travels {travel}", *tiles)

    # Each picture on the way beside the plain interpolation of both latents.
    elsewhere, average = [], []
    for picture, t in list(zip(pictures, times, strict=True))[1:-1]:
        height, width = picture.shape[2:]
        mask = travelling_mask((height, width), travel, t).to(picture.dtype)
        elsewhere.append(change_outside(picture, pictures[0], pictures[-1], mask))
        plain = generator.render(interpolate(generator, a, b, t))
        average.append(change_outside(plain, pictures[0], pictures[-1], mask))

    steps = [studio.distance(p, q) for p, q in pairwise(pictures)]
    return {
        "mask travels": travel,
        "elsewhere": mean(elsewhere),
        "elsewhere, plain interpolation": mean(average),
        "evenness": max(steps) / mean(steps),
    }
