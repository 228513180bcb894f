"""Latents cut, moved and laid on a larger canvas of cells ([S] fig. 4.3, 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edits.common_space import to_common_space
from edits.cropping import Box, check_box, check_even, feature_size, window
from edits.log import MAX_PLACEMENTS, describe_latent, record
from edits.masks import feather_width, feathered
from edits.mixer import mix, shift_cells
from invert.arguments import check_integers
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.latent import Latent

SEAM = 2  # F cells, width of the default seam


@dataclass(frozen=True)
class Placement:
    """One latent on a canvas, in cells of F_i.

    at    (x, y) of the left upper cell on the canvas
    crop  (x, y, width, height) of the cells of the latent that are meant; None: all of them
    """

    latent: Latent
    at: tuple[int, int] = (0, 0)
    crop: Box | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", check_integers("at", self.at, "x, y"))
        if self.crop is not None:
            object.__setattr__(self, "crop", check_box(self.crop))


def place(
    generator: Generator,
    canvas: tuple[int, int],
    placements: Sequence[Placement],
    *,
    feather: float | None = None,
) -> Latent:
    """One latent with each placement laid over those before it.

    canvas   (width, height) of the result in cells of F_i
    feather  width in pixels of the seams, centred on the borders of placements; two cells of F_i
             by default

    Under its seam a placement goes on with the cells around its crop, then with its border cells.
    So does the first where nothing is placed. Style maps and noise are mixed as in
    :func:`edits.mixer.mix`. Raises :class:`UsageError` for boxes that are outside,
    :class:`LatentError` for spaces without features.
    """
    if not placements:
        raise UsageError("expected at least one latent to place, got none")
    columns, rows = check_integers("canvas", canvas, "width, height")
    if min(columns, rows) < 1:
        raise UsageError(f"a canvas has at least 1×1 cells, got {columns}×{rows}")
    canvas = columns, rows
    feather = None if feather is None else feather_width(feather)

    latents = to_common_space(generator, [p.latent for p in placements], base="W+", spatial=True)
    # An image beyond the limit of pixels is refused before it takes memory.
    generator.shapes(latents[0].space, (canvas[1], canvas[0]))

    # The first fills the canvas; each later one is mixed in under its rectangle.
    pixels = generator.cell(latents[0].space)
    result, _ = extend(latents[0], placements[0], canvas)
    for latent, placement in zip(latents[1:], placements[1:], strict=True):
        extended, box = extend(latent, placement, canvas)
        mask = rectangle(canvas, box, pixels, like=extended.tensors()[0])
        result = mix(
            generator,
            result,
            extended,
            feathered(mask, SEAM * pixels if feather is None else feather),
        )

    # The mixtures are steps of this edit and leave no entries in its log.
    result = result.replace(metadata=placements[0].latent.metadata)
    return record(result, "place", describe_placements(canvas, placements, feather))


def describe_placements(
    canvas: tuple[int, int], placements: Sequence[Placement], feather: float | None
) -> dict[str, Any]:
    """For the log of edits: the canvas, and the latent and place of the first placements."""
    laid = [
        {
            "at": list(p.at),
            "crop": None if p.crop is None else list(p.crop),
            **describe_latent(p.latent),
        }
        for p in placements[:MAX_PLACEMENTS]
    ]
    return {
        "canvas": list(canvas),
        "latents": len(placements),
        "placements": laid,
        "feather": feather,
    }


def extend(latent: Latent, placement: Placement, canvas: tuple[int, int]) -> tuple[Latent, Box]:
    """The latent at its place, extended over the whole canvas, and the box it was placed in."""
    crop_box = checked_crop(latent, placement.crop)
    (left, top, width, height), (x, y) = crop_box, placement.at
    check_even(latent, "the place of a latent", placement.at)
    if x + width <= 0 or y + height <= 0 or x >= canvas[0] or y >= canvas[1]:
        raise UsageError(
            f"a latent at {x}, {y} lies outside the canvas of {canvas[0]}×{canvas[1]} cells"
        )
    return window(latent, (left - x, top - y, *canvas)), (x, y, width, height)


def shift(latent: Latent, cells: tuple[int, int]) -> Latent:
    """The latent's content moved right and down by (dx, dy) cells of F_i (`mixer.shift_cells`)."""
    dx, dy = check_integers("shift", cells, "dx, dy")
    return record(shift_cells(latent, (dx, dy)), "shift", {"cells": [dx, dy]})


def crop(latent: Latent, box: Box) -> Latent:
    """The cells `box` = (x, y, width, height) of F_i, as a smaller image.

    Raises :class:`UsageError` for a box that is not inside.
    """
    box = checked_crop(latent, check_box(box))
    return record(window(latent, box), "crop", {"box": list(box)})


def checked_crop(latent: Latent, box: Box | None) -> Box:
    """The box, by default the whole latent; raises :class:`UsageError` unless it lies inside."""
    height, width = feature_size(latent)
    if box is None:
        return 0, 0, width, height
    x, y, w, h = box
    if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
        raise UsageError(
            f"crop {x}, {y}, {w}, {h} is not inside the {width}×{height} cells of the latent"
        )
    return box


def rectangle(canvas: tuple[int, int], box: Box, pixels: int, like: Tensor) -> Tensor:
    """The mask [1, 1, H, W] of a box of cells of `pixels` each; what leaves the canvas is cut."""
    mask = torch.zeros(
        1, 1, canvas[1] * pixels, canvas[0] * pixels, device=like.device, dtype=like.dtype
    )
    x, y, w, h = (pixels * value for value in box)
    mask[:, :, max(y, 0) : y + h, max(x, 0) : x + w] = 1
    return mask
