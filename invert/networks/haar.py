"""The Haar transform of maps, whose four bands lie in blocks ll, lh, hl, hh of the channels.

Synthesis is times 2; the factor ½ is folded into the weights before it. Both directions are written
out because stacking and shuffling moves every value five times, and this twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class HaarSynthesis(torch.autograd.Function):
    """:func:`synthesis` with derivatives; it is orthogonal up to scale, so the backward pass is the
    analysis.
    """

    @staticmethod
    def forward(ctx: Any, bands: Tensor) -> Tensor:
        """[N, C, 2H, 2W] from bands [N, 4C, H, W]."""
        return synthesis(bands)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Analysis, which is the transpose."""
        return analysis(grad).contiguous(memory_format=torch.channels_last)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        """Synthesis, which is linear."""
        return HaarSynthesis.apply(tangent)


def synthesis(bands: Tensor) -> Tensor:
    """[N, C, 2H, 2W] from four Haar bands [N, 4C, H, W], times 2.

    The four cells of a square are ll ± lh ± hl ± hh.
    """
    n, c4, h, w = bands.shape
    memory = layout(c4 // 4)
    ll, lh, hl, hh = bands.contiguous(memory_format=memory).chunk(4, 1)

    # The upper cells, then the lower ones: left is the sum, right the difference.
    x = empty(bands, (n, c4 // 4, 2 * h, 2 * w), memory)
    butterfly(ll + lh, hl + hh, x[:, :, ::2, ::2], x[:, :, ::2, 1::2])
    butterfly(ll - lh, hl - hh, x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2])
    return x


def analysis(x: Tensor) -> Tensor:
    """The transpose of :func:`synthesis`: [N, 4C, H/2, W/2] from a map [N, C, H, W]."""
    n, c, h, w = x.shape
    memory = layout(c)

    # Along the rows.
    x = x.contiguous(memory_format=memory)
    left, right = x[:, :, :, ::2], x[:, :, :, 1::2]
    low, high = left + right, left - right

    # Down the columns.
    bands = empty(x, (n, 4 * c, h // 2, w // 2), memory)
    ll, lh, hl, hh = bands.chunk(4, 1)
    butterfly(low[:, :, ::2], low[:, :, 1::2], ll, lh)
    butterfly(high[:, :, ::2], high[:, :, 1::2], hl, hh)
    return bands


def layout(channels: int) -> torch.memory_format:
    """How a transform of so many channels lies in memory: channels last, but for a picture.

    There three values at a time would be added, which takes four times as long in bfloat16.
    """
    return torch.contiguous_format if channels <= 3 else torch.channels_last


def empty(like: Tensor, shape: Sequence[int], memory: torch.memory_format) -> Tensor:
    """A map whose values are not yet written."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=memory)


def butterfly(a: Tensor, b: Tensor, total: Tensor, difference: Tensor) -> None:
    """Write a + b and a − b in place."""
    torch.add(a, b, out=total)
    torch.sub(a, b, out=difference)
