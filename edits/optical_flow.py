"""The optical flow of a feature map that changes, and maps warped along it.

A. Bruhn, J. Weickert, C. Schnörr, "Lucas/Kanade meets Horn/Schunck: combining local and global
optic flow methods", IJCV 61(3), 2005; here over all channels of the feature map, and accumulated
over several small steps of the change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

BLUR = (0.25, 0.5, 0.25)  # window of cells with one flow, along rows and columns
SMOOTHNESS, DAMPING = 0.03, 0.03  # of the flow, in mean squared gradients of the map
SOLVER_STEPS = 40  # of conjugate gradients; 30 solve 32×32 cells to 1e-5


def optical_flow(
    path: Sequence[Tensor], smoothness: float = SMOOTHNESS, damping: float = DAMPING
) -> Tensor:
    """The flow [N, 2, H, W], (x, y) in cells, from the first to the last of maps [N, C, H, W].

    What the last map shows at a cell p was at p − flow(p) in the first. Where the map is flat, the
    flow goes on as it is beside it, and fades. Zero for maps that are all equal. `smoothness` and
    `damping` are in units of the mean squared gradient of the map; with much of the first all cells
    move alike, with much of the second none moves.
    """
    first = path[0]
    total = first.new_zeros(len(first), 2, *first.shape[2:])

    # The flows between neighbours, in one batch.
    before, after = torch.cat([*path[:-1]]), torch.cat([*path[1:]])
    flows = flow_between(before, after, smoothness, damping)

    # Flow of a composition: total(p) = step(p) + total(p − step(p)).
    for step in flows.split(len(first)):
        total = warp(total, step) + step

    return total


def flow_between(before: Tensor, after: Tensor, smoothness: float, damping: float) -> Tensor:
    """The flow [N, 2, H, W] between maps that differ by little.

    Minimizes Σ (after − before + ∇before · flow)² + α |∇flow|² + λ |flow|², the first term summed
    over each cell's window and all channels.
    """
    # The sums of the normal equations [xx xy; xy yy] flow − α Δflow + λ flow = −[xt; yt].
    dx, dy = gradients(before)
    change = after - before
    xx, yy, xy = windowed(dx * dx), windowed(dy * dy), windowed(dx * dy)
    right = -torch.cat([windowed(dx * change), windowed(dy * change)], 1)
    unit = (xx + yy).mean(dim=(1, 2, 3), keepdim=True)
    alpha = smoothness * unit
    xx, yy = xx + damping * unit, yy + damping * unit

    def left(flow: Tensor) -> Tensor:
        x, y = flow.split(1, 1)
        return torch.cat([xx * x + xy * y, xy * x + yy * y], 1) - alpha * laplacian(flow)

    diagonal = torch.cat([xx, yy], 1) + 4 * alpha
    return conjugate_gradients(left, right, diagonal)


def conjugate_gradients(
    left: Callable[[Tensor], Tensor], right: Tensor, diagonal: Tensor
) -> Tensor:
    """The solution x of left(x) = right, row by row of the batch, from 0 in `SOLVER_STEPS` steps.

    `left` is linear, symmetric and positive definite; `diagonal`, about its diagonal, is the
    preconditioner. Where `right` is 0, so is x. torch has no such solver, and SciPy's no devices.
    """
    tiny = torch.finfo(right.dtype).tiny
    diagonal = diagonal.clamp_min(tiny)
    x, residual = torch.zeros_like(right), right
    direction = residual / diagonal
    size = dot(residual, direction)

    for _ in range(SOLVER_STEPS):
        product = left(direction)
        length = size / dot(direction, product).clamp_min(tiny)
        x = x + length * direction
        residual = residual - length * product

        # The next direction is conjugate to all before.
        scaled = residual / diagonal
        previous, size = size, dot(residual, scaled)
        direction = scaled + size / previous.clamp_min(tiny) * direction
    return x


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products [N, 1, 1, 1] of rows of a batch."""
    return (a * b).sum(dim=(1, 2, 3), keepdim=True)


def laplacian(t: Tensor) -> Tensor:
    """Each cell's four neighbours less itself; the map goes on with its border cells."""
    padded = F.pad(t, (1, 1, 1, 1), mode="replicate")
    beside = padded[..., 1:-1, 2:] + padded[..., 1:-1, :-2]
    above = padded[..., 2:, 1:-1] + padded[..., :-2, 1:-1]
    return beside + above - 4 * t


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
