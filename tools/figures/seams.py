"""Numbers for the place where two pictures meet. All are ratios, so that contrast and size do not
matter.
"""

from __future__ import annotations

import torch
from targets import blurred
from torch import Tensor

from invert.images.images import area_downscale

SIDE = 256  # pixels at which seams are measured
NEAR, FAR = 4, 24  # pixels from an edge between which a picture's own contrast is taken
TRANSITION = (0.2, 0.8)  # mask values between which two pictures count as mixed
DETAIL = 2  # pixels; finer than this is detail


def step_ratio(image: Tensor, mask: Tensor) -> float:
    """Mean step of pixels across the edge of a hard mask, over that a little further away.

    About 1 where no edge is to be seen. Straight edges only: along rows, columns, or both.
    """
    image, mask = (
        area_downscale(image.clamp(-1, 1), SIDE),
        (area_downscale(mask.expand(-1, 3, -1, -1), SIDE) > 0.5),
    )

    across, along = 0.0, 0.0
    for axis in (2, 3):
        steps = image.diff(dim=axis).abs().mean(1)
        edge = mask.diff(dim=axis).any(1)
        if not edge.any():
            continue
        distance = edge_distance(edge[0], axis - 2)[None]
        beside = (distance >= NEAR) & (distance <= FAR)
        across += steps[edge].mean().item()
        along += steps[beside].mean().item()
    return across / along


def edge_distance(edge: Tensor, axis: int) -> Tensor:
    """Pixels from each place of [H, W] to the nearest edge on its line along an axis; large where
    it has none.
    """
    place = torch.arange(edge.shape[axis])
    place = place[:, None] if axis == 0 else place[None]
    distance = torch.full(edge.shape, edge.shape[axis], dtype=torch.long)
    for k in range(edge.shape[axis]):
        here = edge.select(axis, k).unsqueeze(axis)
        distance = torch.where(
            here, torch.minimum(distance, (place - k).abs().expand_as(distance)), distance
        )
    return distance


def detail_ratio(mixed: Tensor, a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Fine detail of a mixture where the mask is half-way, over the mean of both pictures' own
    there.

    About 1 for a picture in its own right. Averaging two pictures that do not agree, a double
    exposure, lowers it
    towards √½ (and hides which of them a detail belongs to).
    """
    m = area_downscale(mask.expand(-1, 3, -1, -1), SIDE)
    between = (m > TRANSITION[0]) & (m < TRANSITION[1])

    def detail(image: Tensor) -> float:
        small = area_downscale(image.clamp(-1, 1), SIDE)
        return (small - blurred(small, DETAIL))[between].square().mean().sqrt().item()

    return 2 * detail(mixed) / (detail(a) + detail(b))


def change_outside(mixed: Tensor, a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Mean absolute difference, as a fraction of the range, from a where the mask is 0 and from b
    where it is 1.
    """
    kept = [
        (mixed - image).abs().mean(1, keepdim=True)[mask == value]
        for image, value in ((a, 0), (b, 1))
    ]
    return torch.cat(kept).mean().item() / 2
