"""Masks: where one image is edited or replaced, at the size of every map of a latent.

A mask is [1, 1, H, W] in [0, 1] at the image's size. One that is the same everywhere is kept as a
single cell, which broadcasts: then nothing is resampled and full or empty masks are exact.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.arguments import check_number
from invert.errors import UsageError
from invert.generator import Generator
from invert.hardware.precision import widened
from invert.latents.layer_ranges import COARSE, MIDDLE
from invert.latents.shapes import Size
from invert.networks.network import Layer

# Cells of a style map per training side, at most.
CELLS = 64  # of an edit; a cell has 512 values, which makes larger maps expensive
SOFT_CELLS = 32  # of a mixture, whose edges are soft


def check_mask(mask: Tensor, image: Size, like: Tensor) -> Tensor:
    """The mask in dtype and device of `like`; [1, 1, 1, 1] where it is uniform.

    Raises :class:`UsageError` unless it is [1, 1, H, W] of the image's size (height, width) with
    values in [0, 1].
    """
    if mask.ndim != 4 or tuple(mask.shape[:2]) != (1, 1):
        raise UsageError(
            f"expected a mask [1, 1, H, W], got {list(mask.shape)}; "
            "invert.images.images.read_mask makes one"
        )

    if tuple(mask.shape[2:]) != tuple(image):
        height, width = mask.shape[2:]
        raise UsageError(
            f"the mask has {width}×{height} px, the image {image[1]}×{image[0]}; "
            "resize the mask to the image"
        )

    if not bool(((mask >= 0) & (mask <= 1)).all()):  # NaN fails too
        raise UsageError("mask values are numbers in [0, 1]; divide 8-bit values by 255")

    mask = mask.to(like)
    return mask[:, :, :1, :1] if mask.amin() == mask.amax() else mask


def feather_width(pixels: Any) -> float:
    """The width as a float. Raises :class:`UsageError` for one that is negative or not finite."""
    try:
        return check_number("feather", pixels, 0, sys.float_info.max)
    except UsageError:
        raise UsageError(f"feather is a width in pixels, 0 or more, got {pixels!r}") from None


def feathered(mask: Tensor, pixels: float) -> Tensor:
    """The mask with every hard edge turned into a linear ramp `pixels` wide, centred on it.

    A box filter whose window ends at the borders, so that full and empty masks stay exact. Raises
    :class:`UsageError` for a width that is negative or not finite.
    """
    reach = round(feather_width(pixels) / 2)
    if mask.shape[2:] == (1, 1) or reach == 0:
        return mask

    for axis in (2, 3):
        # Running sums in float64: any width costs the same, and sums of 0 and 1 are exact.
        side = mask.shape[axis]
        total = widened(mask).cumsum(axis)
        total = torch.cat([torch.zeros_like(total.narrow(axis, 0, 1)), total], axis)

        # The mean over [cell − reach, cell + reach].
        cell = torch.arange(side, device=total.device)
        start, stop = (cell - reach).clamp_min(0), (cell + reach + 1).clamp_max(side)
        count = (stop - start).view([-1, 1] if axis == 2 else [1, -1])
        mask = ((total.index_select(axis, stop) - total.index_select(axis, start)) / count).to(mask)

    return mask.clamp(0, 1)


def at_size(mask: Tensor, size: Sequence[int]) -> Tensor:
    """The mask at `size` (height, width): the share of each cell that it covers.

    [1, 1, 1, 1], a mask that is the same everywhere, stays so.
    """
    return mask if mask.shape[2:] == (1, 1) else F.interpolate(mask, size=tuple(size), mode="area")


def style_cells(generator: Generator, layer: Layer, image: Size, limit: int) -> Size:
    """Size (height, width) of a style map for an image: that of the layer's input.

    At most `limit` cells per training side.
    """
    side = min(layer.size, limit)
    height, width = (max(1, pixels * side // generator.resolution) for pixels in image)
    return height, width


def style_mask(generator: Generator, mask: Tensor, layer: Layer, image: Size) -> Tensor:
    """The mask for the styles of `layer`: the finer the layer, the softer its edges.

    It has at most 32 cells per training side. Edges are as wide as a cell of the layer's input, up
    to 16 cells, 1/16 of the training side at 32, and 1/8 of it from 64 on. Coarse styles need no
    more, as all later layers smooth what they make. Fine ones hold the colours, where a narrow edge
    shows as a seam ([S] fig. 4.1).
    """
    if mask.shape[2:] == (1, 1):
        return mask

    side = min(generator.resolution, CELLS)
    grid = at_size(mask, [max(1, pixels * side // generator.resolution) for pixels in image])
    if layer.nominal > 2 * COARSE:
        grid = feathered(grid, side / 16 if layer.nominal <= MIDDLE else side / 8)
    return at_size(grid, style_cells(generator, layer, image, SOFT_CELLS))
