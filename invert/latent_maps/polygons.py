"""Random polygons ([S] 9.1.2): maps of flat pieces with sharp edges.

A dead leaves model: a random polygon lies around every cell of the plane, each in one colour drawn
from N(0, 1), and the value of a place is the colour of the uppermost polygon that covers it. So
every value is N(0, 1) by itself, and near places often have the same one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from invert.arguments import check_number
from invert.latent_maps.filtered_noise import LatentMap

SIDES = 5
MAX_RADIUS = 16.0  # cells; the work grows with its square


@dataclass(frozen=True)
class PolygonMap(LatentMap):
    """Overlapping polygons, of sizes that rise linearly with the channel up to `radius_max`.

    A polygon is the intersection of five half-planes, turned at random; the distance of each edge
    from the polygon's cell is uniform in [½, radius]. White noise has eight channels for each of
    the map's: colour, height, angle and five distances.
    """

    radius_max: float  # of the last channel, in cells

    kind = "polygons"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("radius_max", self.radius_max, 0.5, MAX_RADIUS)

    @property
    def margin(self) -> int:
        """Polygons are cut where they leave the square of this half-width around their cell."""
        return math.ceil(self.radius_max)

    @property
    def noise_channels(self) -> int:
        """Of colour, height, angle and distances."""
        return self.channels * (3 + SIDES)

    def filter(self, noise: Tensor) -> Tensor:
        """The colours of the uppermost polygons."""
        n, _, height, width = noise.shape
        height, width = height - 2 * self.margin, width - 2 * self.margin
        colour, level, turn, *distance = noise.view(
            n, self.channels, 3 + SIDES, *noise.shape[2:]
        ).unbind(2)

        # Shapes: the unit normals of the edges, and how far the edges are.
        radius = self.rising(0.5, self.radius_max).to(noise)[:, None, None]
        reach = [0.5 + (radius - 0.5) * torch.special.ndtr(d) for d in distance]
        start = 2 * math.pi * torch.special.ndtr(turn)
        normals = [
            ((start + side).sin(), (start + side).cos())
            for side in (2 * math.pi * k / SIDES for k in range(SIDES))
        ]

        # For every offset from a place to a cell: does the cell's polygon cover the place, and is
        # it above those so far? The place's own polygon always covers it.
        value = torch.zeros((n, self.channels, height, width)).to(noise)
        top = torch.full_like(value, -math.inf)
        for y in range(2 * self.margin + 1):
            for x in range(2 * self.margin + 1):
                cell = (..., slice(y, y + height), slice(x, x + width))
                dy, dx = self.margin - y, self.margin - x
                above = level[cell] > top
                for (ny, nx), edge in zip(normals, reach, strict=True):
                    above = above & (ny[cell] * dy + nx[cell] * dx <= edge[cell])
                value = torch.where(above, colour[cell], value)
                top = torch.where(above, level[cell], top)
        return value
