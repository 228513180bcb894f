"""How what a feature map shows moves along an edit, and maps that move with it.

The motion is the optical flow of B. Lucas and T. Kanade, "An iterative image registration technique
with an application to stereo vision", IJCAI 1981, over all channels of the feature maps and over
several small parts of the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

BLUR = (0.25, 0.5, 0.25)  # window over which cells move alike, in rows and columns
DAMPING = 0.3  # of the mean squared slope of the map: where nothing is seen to move, nothing moves


def motion(path: Sequence[Tensor], damping: float = DAMPING) -> Tensor:
    """Displacements [N, 2, H, W] of (x, y) in cells along maps [N, C, H, W] that follow one
    another.

    What the last map shows at a cell p was at p − displacement(p) in the first. Zero for maps that
    are all equal.
    `damping` is a share of the mean squared slope of the map: with a large one nothing moves.
    """
    first = path[0]
    total = first.new_zeros(len(first), 2, *first.shape[2:])
    for before, after in pairwise(path):
        part = small_motion(before, after, damping)
        total = moved(total, part) + part
    return total


def small_motion(before: Tensor, after: Tensor, damping: float) -> Tensor:
    """The displacements from one map to another that differs by little, by damped least squares in
    every window.
    """
    dx, dy = slopes(before)
    change = after - before
    xx, yy, xy = windowed(dx * dx), windowed(dy * dy), windowed(dx * dy)
    xt, yt = windowed(dx * change), windowed(dy * change)
    added = damping * (xx + yy).mean(dim=(1, 2, 3), keepdim=True)
    xx, yy = xx + added, yy + added
    # 0 only for maps without any slope
    determinant = (xx * yy - xy.square()).clamp_min(torch.finfo(xx.dtype).tiny)
    return torch.cat([xy * yt - yy * xt, xy * xt - xx * yt], 1) / determinant


def slopes(t: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and y, of the map with its border drawn out."""
    padded = F.pad(t, (1, 1, 1, 1), mode="replicate")
    along_x = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    along_y = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return along_x / 2, along_y / 2


def windowed(t: Tensor) -> Tensor:
    """[N, 1, H, W]: the sum over the channels, averaged over windows."""
    taps = t.new_tensor(BLUR)
    padded = F.pad(t.sum(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, torch.outer(taps, taps)[None, None])


def moved(t: Tensor, displacement: Tensor) -> Tensor:
    """The map [N, C, H, W] whose content went along displacements [N, 2, h, w], in cells of h × w.

    Bicubic; the border is drawn out where content comes from beyond it.
    """
    cells, size = displacement.shape[2:], t.shape[2:]
    if cells != size:
        displacement = F.interpolate(displacement, size=size, mode="bilinear", align_corners=False)
    y, x = (
        (torch.arange(side, device=t.device, dtype=t.dtype) * 2 + 1) / side - 1 for side in size
    )  # centres of cells; −1 and 1 are the borders
    from_x = x - displacement[:, 0] * (2 / cells[1])
    from_y = y[:, None] - displacement[:, 1] * (2 / cells[0])
    grid = torch.stack([from_x, from_y], -1)
    return F.grid_sample(t, grid, mode="bicubic", padding_mode="border", align_corners=False)
