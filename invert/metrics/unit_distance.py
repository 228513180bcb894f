"""One depth of a perceptual distance: how far activations of unit length are from a target's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-10


def unit_length(x: Tensor, root: Tensor) -> Tensor:
    """root · x / ‖x‖ for activations [N, C, h, w], where ‖x‖ [N, 1, h, w] is that of a pixel.

    `root` [C, 1, 1] are the roots of a learned head's weights.
    """
    # vector_norm has a gradient (zero) where all activations are zero; the root of a sum has none.
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x * (length + EPSILON).reciprocal() * root


def mean_square(x: Tensor, y: Tensor) -> Tensor:
    """The mean over pixels of ‖x − y‖² for maps [N or 1, C, h, w]: [N]."""
    # Sums are in float32 or more: in half precision they would be rounded.
    exact = torch.promote_types(x.dtype, torch.float32)
    return (x - y).square().sum(dim=1, dtype=exact).mean(dim=(1, 2))


def unit_distance(x: Tensor, root: Tensor, target: Tensor) -> Tensor:
    """`mean_square(unit_length(x, root), target)`: [N].

    On a CPU with a backward pass of its own, whose derivatives are the first ones by x. It takes
    half the time, since each map is read and written half as often.
    """
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        return mean_square(unit_length(x, root), target)
    distance: Tensor = UnitDistance.apply(x, root, target)
    return distance


class UnitDistance(torch.autograd.Function):
    """:func:`unit_distance`, with u = x / ‖x‖ and d = root · u − target."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, root: Tensor, target: Tensor) -> Tensor:
        """mean ‖d‖² of each sample."""
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        scale = (length + EPSILON).reciprocal()
        difference = (x * scale).mul_(root).sub_(target)
        ctx.save_for_backward(x, root, length, scale, difference)

        rows = difference.permute(0, 2, 3, 1).flatten(1)
        return torch.stack([row.dot(row) for row in rows]) / length[0].numel()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient by x, (v − u (u · v)) / ‖x‖ with v the gradient by u."""
        x, root, length, scale, difference = ctx.saved_tensors
        v = difference * (grad.view(-1, 1, 1, 1) * root * (2 / length[0].numel()))
        along = (v * x).sum(dim=1, keepdim=True)

        # ‖x‖ + ε lies under x, and the gradient of ‖x‖ is zero where x is.
        along *= scale * torch.where(length > 0, 1 / length, 0)
        return v.addcmul_(x, along, value=-1).mul_(scale), None, None
