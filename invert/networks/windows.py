"""Parts of maps: intervals and windows of cells, and a window of a map that is resized."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Interval = tuple[int, int]  # of cells: the first, and the one after the last


@dataclass(frozen=True)
class Window:
    """A rectangle of cells of a map, or of pixels: rows and columns, each half open."""

    rows: Interval
    columns: Interval

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]

    def scaled(self, factor: int) -> Window:
        """The same place on a map of `factor` times the size."""
        (top, bottom), (left, right) = self.rows, self.columns
        return Window((top * factor, bottom * factor), (left * factor, right * factor))

    def halved(self) -> Window:
        """The same place on a map of half the size; all edges are even."""
        (top, bottom), (left, right) = self.rows, self.columns
        return Window((top // 2, bottom // 2), (left // 2, right // 2))

    def widened(self, margin: int) -> Window:
        """The window with `margin` cells more on every side."""
        (top, bottom), (left, right) = self.rows, self.columns
        return Window((top - margin, bottom + margin), (left - margin, right + margin))

    def cut(self, x: Tensor, outer: Window | None = None) -> Tensor:
        """The window of a map [N, C, H, W] that covers `outer`, by default one from 0, 0."""
        y, x0 = (0, 0) if outer is None else (outer.rows[0], outer.columns[0])
        (top, bottom), (left, right) = self.rows, self.columns
        return x[:, :, top - y : bottom - y, left - x0 : right - x0]


@dataclass(frozen=True)
class StyleWindow:
    """The part of a style map that lies over a window of a layer's features.

    styles  the whole map [N, w_dim, h, w]
    size    (height, width) of the whole F_i
    window  cells of F_i
    """

    styles: Tensor
    size: tuple[int, int]
    window: Window

    def resized(self, style: Tensor, size: tuple[int, int]) -> Tensor:
        """The window of `style`, which is the affine of the whole map, at `size` cells.

        That is the window's size, or a multiple where a layer upsamples before it modulates.
        """
        factor = size[0] // self.window.size[0]
        whole = self.size[0] * factor, self.size[1] * factor
        return resized_window(style, whole, self.window.scaled(factor))


def resized_window(x: Tensor, size: tuple[int, int], window: Window) -> Tensor:
    """The window of `x` [N, C, h, w] resized to `size`, as by bilinear `F.interpolate`."""
    x = resized_axis(x, 2, size[0], window.rows)
    return resized_axis(x, 3, size[1], window.columns)


def resized_axis(x: Tensor, axis: int, length: int, cells: Interval) -> Tensor:
    """`x` with `axis` resized to `length` cells, of which `cells` are made."""
    count = x.shape[axis]
    if count == length:
        return x.narrow(axis, cells[0], cells[1] - cells[0])

    # The centre of each cell lies between the centres of two old ones, or beyond the last.
    place = (torch.arange(*cells, dtype=torch.float64) + 0.5) * (count / length) - 0.5
    place = place.clamp(0, count - 1)
    low = place.floor().long().clamp(max=max(count - 2, 0))
    share = (place - low).to(x).reshape([-1 if k == axis else 1 for k in range(4)])

    low = low.to(x.device)
    high = (low + 1).clamp(max=count - 1)
    return torch.lerp(x.index_select(axis, low), x.index_select(axis, high), share)
