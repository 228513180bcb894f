"""Style maps of a plane: w that changes from place to place, as SW of [S] allows."""

from __future__ import annotations

from dataclasses import dataclass

from invert.arguments import check_integer, check_seed
from invert.generator import Generator
from invert.latent_maps.places import PlacedNoise
from invert.networks.windows import Interval, StyleWindow, Window

FIELD = 1 << 20  # of z on the plane of a seed; layers have the fields below
MAX_CELLS = 1 << 20


@dataclass(frozen=True)
class PlacedStyles:
    """A w for every square of `cells` cells of F_i, interpolated between their centres.

    Each z depends on (seed, place) alone, like F_i. Where all of a picture lies in one square, its
    style is nearly a vector.

    psi    truncation of each w towards the mean
    """

    generator: Generator
    seed: int
    cells: int
    psi: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", check_seed(self.seed))
        object.__setattr__(self, "cells", check_integer("cells", self.cells, 1, MAX_CELLS))

    def window(self, layer: int, window: Window) -> StyleWindow:
        """The style of a layer in a window of its features."""
        network = self.generator.network
        first, here = (network.layers[i - 1].cells[0] for i in (network.first, layer))
        side = self.cells * (here // first)  # of a square, in cells of this layer

        # The squares whose centres lie around the window.
        rows, columns = (around(interval, side) for interval in (window.rows, window.columns))
        noise = PlacedNoise(self.seed, FIELD).window(self.generator.z_dim, rows, columns)
        height, width = noise.shape[1:]

        # Their w, [1, w_dim, height, width].
        z = noise.flatten(1).T.to(self.generator.device, self.generator.dtype)
        w = self.generator.mapping(z)
        mean = self.generator.w_avg
        w = (mean + self.psi * (w - mean)).T.reshape(1, -1, height, width)

        return StyleWindow(w, (height * side, width * side), moved(window, rows, columns, side))


def around(cells: Interval, side: int) -> Interval:
    """Squares of `side` cells, from the one before the first cell to the one after the last."""
    return cells[0] // side - 1, (cells[1] - 1) // side + 2


def moved(window: Window, rows: Interval, columns: Interval, side: int) -> Window:
    """The window, counted from the first of the squares."""
    y, x = rows[0] * side, columns[0] * side
    (top, bottom), (left, right) = window.rows, window.columns
    return Window((top - y, bottom - y), (left - x, right - x))


def style_cells(generator: Generator, pixels: int) -> int:
    """Squares of about `pixels` in whole cells of F_i, at least one."""
    cell = generator.resolution // generator.layer(generator.network.first).size
    return max(1, round(pixels / cell))
