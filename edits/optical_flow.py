"""The optical flow of a feature map that changes, and maps warped along it.

B. Lucas and T. Kanade, "An iterative image registration technique with an application to stereo
vision", IJCAI 1981; here over all channels of the feature map, damped, and accumulated over several
small steps of the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

BLUR = (0.25, 0.5, 0.25)  # window of cells with one flow, along rows and columns
DAMPING = 0.3  # of the mean squared gradient of the map


def optical_flow(path: Sequence[Tensor], damping: float = DAMPING) -> Tensor:
    """The flow [N, 2, H, W], (x, y) in cells, from the first to the last of maps [N, C, H, W].

    What the last map shows at a cell p was at p − flow(p) in the first. Zero for maps that are all
    equal. `damping` is in units of the mean squared gradient of the map; a large one gives no flow.
    """
    first = path[0]
    total = first.new_zeros(len(first), 2, *first.shape[2:])

    # Flow of a composition: total(p) = step(p) + total(p − step(p)).
    for before, after in pairwise(path):
        step = lucas_kanade(before, after, damping)
        total = warp(total, step) + step

    return total


def lucas_kanade(before: Tensor, after: Tensor, damping: float) -> Tensor:
    """The flow [N, 2, H, W] between maps that differ by little: damped least squares by window.

    Minimizes Σ (after − before + ∇before · flow)² + λ |flow|² over each window and all channels.
    """
    # The sums of the normal equations [xx xy; xy yy] flow = −[xt; yt].
    dx, dy = gradients(before)
    change = after - before
    xx, yy, xy = windowed(dx * dx), windowed(dy * dy), windowed(dx * dy)
    xt, yt = windowed(dx * change), windowed(dy * change)

    # λ on the diagonal: where the map is flat the flow is 0.
    added = damping * (xx + yy).mean(dim=(1, 2, 3), keepdim=True)
    xx, yy = xx + added, yy + added

    # Cramer's rule. The determinant is 0 only for maps without any gradient.
    determinant = (xx * yy - xy.square()).clamp_min(torch.finfo(xx.dtype).tiny)
    return torch.cat([xy * yt - yy * xt, xy * xt - xx * yt], 1) / determinant


def gradients(t: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and y; the map goes on with its border cells."""
    padded = F.pad(t, (1, 1, 1, 1), mode="replicate")
    along_x = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    along_y = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return along_x / 2, along_y / 2


def windowed(t: Tensor) -> Tensor:
    """[N, 1, H, W]: the sum over the channels, averaged over windows."""
    taps = t.new_tensor(BLUR)
    padded = F.pad(t.sum(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, torch.outer(taps, taps)[None, None])


def warp(t: Tensor, flow: Tensor) -> Tensor:
    """The map [N, C, H, W] moved along a flow [N, 2, h, w], which is in cells of h × w.

    The result at p is the map at p − flow(p), bicubic; beyond its border the map goes on with its
    border cells.
    """
    cells, size = flow.shape[2:], t.shape[2:]
    if cells != size:
        flow = F.interpolate(flow, size=size, mode="bilinear", align_corners=False)

    # Centres of cells in the coordinates of grid_sample: −1 and 1 are the borders.
    y, x = (
        (torch.arange(side, device=t.device, dtype=t.dtype) * 2 + 1) / side - 1 for side in size
    )

    # A cell is 2 / cells wide there.
    from_x = x - flow[:, 0] * (2 / cells[1])
    from_y = y[:, None] - flow[:, 1] * (2 / cells[0])
    grid = torch.stack([from_x, from_y], -1)
    return F.grid_sample(t, grid, mode="bicubic", padding_mode="border", align_corners=False)
