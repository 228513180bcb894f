"""A rectangle of cells cut from every map of a latent, which may reach beyond its borders."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edits.blending import resize_map
from invert.arguments import check_integers
from invert.errors import LatentError, UsageError
from invert.latents.latent import Latent

Box = tuple[int, int, int, int]


def check_box(box: Any) -> Box:
    """The box as four ints. Raises :class:`UsageError` for what is no such sequence."""
    x, y, width, height = check_integers("box", box, "x, y, width, height")
    return x, y, width, height


def window(latent: Latent, box: Box) -> Latent:
    """The part of a latent of an F… space in `box` = (x, y, width, height), in cells of F_i.

    The box may leave the latent. Beyond the border, features, RGB and style maps go on with their
    border cells (a mirror would show parts of the image twice), and noise repeats (border cells
    would make stripes of it). Style vectors and 1×1 maps stay as they are. The companion describes
    a whole, centred face and is dropped, unless the box is the whole latent. Raises
    :class:`UsageError` for an empty box, and for odd cells where R_i has half the size,
    :class:`LatentError` for spaces without features.
    """
    features = features_of(latent)
    height, width = features.shape[2:]
    x, y, w, h = box
    if w < 1 or h < 1:
        raise UsageError(f"expected a box of at least one cell, got {w}×{h}")
    check_even(latent, "x, y, width and height", box)

    if box == (0, 0, width, height):
        return latent

    def cut(t: Tensor, repeat: bool = False) -> Tensor:
        rows = cells(y * t.shape[2] // height, h * t.shape[2] // height, t.shape[2], repeat)
        columns = cells(x * t.shape[3] // width, w * t.shape[3] // width, t.shape[3], repeat)
        return t.index_select(2, rows.to(t.device)).index_select(3, columns.to(t.device))

    def cut_style(t: Tensor) -> Tensor:
        if t.shape[2:] == (1, 1):
            return t
        # The box must begin and end between cells of the stored map: if not, store it finer.
        down = whole(t.shape[2], height, (y, h))
        across = whole(t.shape[3], width, (x, w))
        return cut(resize_map(t, (down, across)))

    styles = latent.styles
    return latent.replace(
        styles=tuple(cut_style(s) for s in styles) if isinstance(styles, tuple) else styles,
        features=cut(features),
        rgb=None if latent.rgb is None else cut(latent.rgb),
        noise=None if latent.noise is None else tuple(cut(n, repeat=True) for n in latent.noise),
        companion=None,
    )


def features_of(latent: Latent) -> Tensor:
    """F_i [N, C, H, W]; raises :class:`LatentError` for spaces without features."""
    if latent.features is None:
        raise LatentError(
            f"{latent.space} has no features to move; "
            "convert it to a space like FNW5 first (Generator.convert)"
        )
    return latent.features


def feature_size(latent: Latent) -> tuple[int, int]:
    """Height and width of F_i in cells; raises :class:`LatentError` for spaces without features."""
    return features_of(latent).shape[2], features_of(latent).shape[3]


def check_even(latent: Latent, what: str, values: tuple[int, ...]) -> None:
    """Raise :class:`UsageError` for odd numbers of cells where R_i has half of F_i's."""
    if (
        latent.features is None
        or latent.rgb is None
        or latent.rgb.shape[2] == latent.features.shape[2]
    ):
        return
    if any(value % 2 for value in values):
        raise UsageError(
            f"{what} must be even in {latent.space} (R_i has half the cells of F_i), got {values}"
        )


def cells(start: int, count: int, size: int, repeat: bool) -> Tensor:
    """Indices start … start + count − 1 into `size` cells; outside they repeat or stop."""
    index = torch.arange(start, start + count)
    return index % size if repeat else index.clamp(0, size - 1)


def whole(stored: int, side: int, edges: tuple[int, int]) -> int:
    """The least size ≥ `stored` of a map over `side` cells whose cells end at all edges."""
    if all(stored * edge % side == 0 for edge in edges):
        return stored
    return side * -(-stored // side)
