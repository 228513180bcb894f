"""Four points on a canvas of twice their size, and how well it hides where they meet: fig. 4.3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from seams import step_ratio
from torch import Tensor

from edits.canvas import Placement, place
from invert.generator import Generator
from invert.latents.latent import Latent


def corner_canvas(generator: Generator, points: Sequence[Latent], feather: float) -> Latent:
    """Four points of one space, left to right, then the next row, on a canvas of twice the size.

    `feather` is the width of the seams as a share of a picture's side.
    """
    cells = generator.layer(points[0].space.first).size
    corners = [(x, y) for y in (0, cells) for x in (0, cells)]
    placements = [Placement(point, at) for point, at in zip(points, corners, strict=True)]
    pixels = feather * generator.resolution
    return place(generator, (2 * cells, 2 * cells), placements, feather=pixels)


def beside_each_other(generator: Generator, points: Sequence[Latent]) -> Tensor:
    """The four pictures in the same order, put side by side."""
    plain = [generator.render(point) for point in points]
    return torch.cat([torch.cat(plain[:2], 3), torch.cat(plain[2:], 3)], 2)


def edge_rows(beside: Tensor, image: Tensor, space: str) -> list[dict[str, Any]]:
    """The edge (`fig_4_1.py`) of the cross where the four meet, of both ways."""
    height, width = beside.shape[2:]
    checks = torch.zeros(1, 1, height, width)  # light and dark fields, with edges on the cross
    checks[..., : height // 2, width // 2 :] = checks[..., height // 2 :, : width // 2] = 1
    return [
        {"picture": name, "size": f"{x.shape[3]}x{x.shape[2]} px", "edge": step_ratio(x, checks)}
        for name, x in (("four pictures side by side", beside), (f"one latent of {space}", image))
    ]
