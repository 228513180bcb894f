"""A separable convolution between two layers, strip by strip, so that its maps stay in the cache.

On a CPU most of such a layer's time goes into moving maps: modulation, wavelets, depthwise
convolution, noise and leaky ReLU each read and write all of one, and only the pointwise convolution
computes much. Here all of them are applied to some rows before the next ones, and what lies between
the layer's input and its output is never kept: the backward pass makes do without it. The head,
which makes a picture's bands of the last layer's output, can come right after it in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from invert.networks.haar import HaarSynthesis, analysis, empty, synthesis

STRIP = 8 << 20  # bytes of a layer's output, or of what is convolved, in one strip
SLOPE = 0.2  # of the leaky ReLU


def fits_strips(x: Tensor) -> bool:
    """Whether :func:`separable_layer` is the fast way: on a CPU, unless it is in bfloat16, in which
    torch's convolutions are as fast.
    """
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)


class Head(NamedTuple):
    """A pointwise convolution that makes few channels, as of a picture, of a layer's output.

    It runs strip by strip with the layer, so that the gradient between them is never a whole map.
    """

    weights: Tensor  # [N or 1, J, K]
    bias: Tensor  # [J]


def separable_layer(
    x: Tensor,
    style: Tensor,
    noise: Tensor | None,
    depthwise: Tensor,
    pointwise: Tensor,
    bias: Tensor,
    upsamples: bool,
    head: Head | None = None,
) -> Tensor:
    """[N, K, H, W] = leaky ReLU(pointwise · depthwise(y) + bias + noise), y = style · x.

    x          [N or 1, C, H, W]; if the layer upsamples, the Haar bands [N or 1, 4C, H/2, W/2] of y
    style      [N or 1, channels of x, 1, 1]
    noise      [N or 1, 1, H, W], or None
    depthwise  [C, 1, 3, 3]
    pointwise  [K, C]
    bias       [K]
    head       what reads the layer's output; then the result is what it makes of it

    Has first derivatives by x, style, noise and the head's weights, forward and backward; by others
    none. Samples are computed one by one, so a sample's result does not depend on the others.
    """
    weights, head_bias = head or (None, None)
    n = max(len(t) for t in (x, style, noise, weights) if t is not None)
    x = x.expand(n, -1, -1, -1)
    out: Tensor = SeparableLayer.apply(
        x, style, noise, weights, depthwise, pointwise, bias, head_bias, upsamples
    )
    return out


class SeparableLayer(torch.autograd.Function):
    """:func:`separable_layer` for x of N samples."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        style: Tensor,
        noise: Tensor | None,
        head: Tensor | None,
        depthwise: Tensor,
        pointwise: Tensor,
        bias: Tensor,
        head_bias: Tensor | None,
        upsamples: bool,
    ) -> Tensor:
        """The layer's output, channels last; or what the head makes of it, plane by plane."""
        x = x.contiguous(memory_format=torch.channels_last)
        scale = 2 if upsamples else 1
        n, _, height, width = x.shape
        shape = (n, len(pointwise), scale * height, scale * width)
        out = empty(x, shape, torch.channels_last)
        planes = None
        if head is not None:
            planes = empty(x, (n, head.shape[1], *shape[2:]), torch.contiguous_format)

        for k, a, b in strips(out, len(depthwise)):
            z = convolved(x[k : k + 1], style[k % len(style)], depthwise, a, b, upsamples)

            # Bias and noise are there before the product is added to them.
            strip = out[k, :, a:b].permute(1, 2, 0).view(-1, len(pointwise))
            if noise is None:
                strip.copy_(bias.expand_as(strip))
            else:
                torch.add(noise[k % len(noise), 0, a:b].reshape(-1, 1), bias, out=strip)
            strip.addmm_(as_rows(z), pointwise.T)
            F.leaky_relu_(strip, SLOPE)

            if head is not None:
                assert planes is not None
                assert head_bias is not None
                made = planes[k, :, a:b].flatten(1)
                torch.addmm(head_bias[:, None], head[k % len(head)], strip.T, out=made)

        ctx.upsamples, ctx.noises = upsamples, 0 if noise is None else len(noise)
        ctx.save_for_backward(x, style, head, depthwise, pointwise, out)
        ctx.save_for_forward(x, style, head, depthwise, pointwise, out)
        return out if planes is None else planes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients by x, style, noise and the head's weights."""
        x, style, head, depthwise, pointwise, out = ctx.saved_tensors
        memory = torch.channels_last if head is None else torch.contiguous_format
        grad = grad.contiguous(memory_format=memory)
        by_x, by_style, by_noise, by_head = ctx.needs_input_grad[:4]
        flipped = depthwise.flip(2, 3)
        scale = out.shape[2] // x.shape[2]

        x_grad = empty(x, x.shape, torch.channels_last)
        style_grad = x.new_zeros(x.shape[:2])
        noise_grad = x.new_empty(len(out), *out.shape[2:])
        head_grad = x.new_zeros(() if head is None else (len(out), *head.shape[1:]))
        for k, a, b in strips(out, len(depthwise)):
            # Back to what the leaky ReLU sees, with a row more on either side.
            lo, hi = max(a - 1, 0), min(b + 1, out.shape[2])
            inside = slice(a - lo, b - lo)
            back, made = grad[k : k + 1, :, lo:hi], out[k : k + 1, :, lo:hi]
            if head is not None:
                if by_head:
                    head_grad[k] += grad[k, :, a:b].flatten(1) @ as_rows(made[:, :, inside])
                back = from_rows(back[0].flatten(1).T @ head[k % len(head)], made.shape)
            back = torch.ops.aten.leaky_relu_backward(back, made, SLOPE, True)
            if by_noise:
                noise_grad[k, a:b] = channel_sum(back[:, :, inside])
            if not (by_x or by_style):
                continue

            # Back to y, and to the bands that made it.
            back = from_rows(as_rows(back) @ pointwise, back.shape)
            back = F.conv2d(back, flipped, padding=1, groups=len(flipped))[:, :, inside]
            back = analysis(back) if ctx.upsamples else back

            # Back to x; a style is that of all cells.
            rows = slice(a // scale, b // scale)
            style_grad[k] += (as_rows(x[k : k + 1, :, rows]) * as_rows(back)).sum(dim=0)
            torch.mul(back, style[k % len(style)], out=x_grad[k : k + 1, :, rows])

        # What all samples share has the sum of their gradients.
        style_grad = style_grad.sum_to_size(style.shape[:2])[:, :, None, None]
        noise_grad = noise_grad.sum_to_size(max(ctx.noises, 1), *out.shape[2:])[:, None]
        if head is not None:
            head_grad = head_grad.sum_to_size(head.shape)
        gradients = (x_grad, style_grad, noise_grad, head_grad)
        found = zip(gradients, ctx.needs_input_grad, strict=False)
        return *(gradient if wanted else None for gradient, wanted in found), *[None] * 5

    @staticmethod
    def jvp(
        ctx: Any,
        x: Tensor | None,
        style: Tensor | None,
        noise: Tensor | None,
        head: Tensor | None,
        *_: None,
    ) -> Tensor:
        """The tangent from those of x, style, noise and the head's weights, whole maps at once."""
        x0, style0, head0, depthwise, pointwise, out = ctx.saved_tensors
        y = 0 * x0
        if x is not None:
            y = y + x * style0
        if style is not None:
            y = y + x0 * style
        y = HaarSynthesis.apply(y) if ctx.upsamples else y

        z = F.conv2d(y, depthwise, padding=1, groups=len(depthwise))
        tangent = F.conv2d(z, pointwise[:, :, None, None])
        if noise is not None:
            tangent = tangent + noise
        tangent = torch.where(out > 0, tangent, SLOPE * tangent)
        if head0 is None:
            return tangent

        planes = head0 @ tangent.flatten(2)
        if head is not None:
            planes = planes + head @ out.flatten(2)
        return planes.unflatten(2, out.shape[2:])


def convolved(
    x: Tensor, style: Tensor, depthwise: Tensor, a: int, b: int, upsamples: bool
) -> Tensor:
    """Rows a … b − 1 of the depthwise convolution of one sample's y: [1, C, b − a, W].

    y is made with a row or two more on either side, where there are some; the padding replaces
    those beyond the map, and wrong rows at the end of a strip are left out.
    """
    if upsamples:
        lo, hi = max(a - 2, 0), min(b + 2, 2 * x.shape[2])
        y = synthesis(x[:, :, lo // 2 : hi // 2] * style)
    else:
        # The kernel of a channel takes its style, so y is not made.
        lo, hi = max(a - 1, 0), min(b + 1, x.shape[2])
        y, depthwise = x[:, :, lo:hi], depthwise * style[:, None]
    return F.conv2d(y, depthwise, padding=1, groups=len(depthwise))[:, :, a - lo : b - lo]


def strips(out: Tensor, channels: int) -> Iterator[tuple[int, int, int]]:
    """(k, a, b) for rows a … b − 1 of sample k of an output [N, K, H, W], in turn.

    Rows come in even numbers, as many as make the output's strip or that of `channels` convolved
    maps about :data:`STRIP` large.
    """
    n, outputs, height, width = out.shape
    row = max(outputs, channels) * width * out.element_size()
    count = max(2, STRIP // row // 2 * 2)
    for k in range(n):
        for a in range(0, height, count):
            yield k, a, min(a + count, height)


def as_rows(x: Tensor) -> Tensor:
    """[H · W, C], a row for each cell of one map [1, C, H, W]; no copy if it is channels last."""
    return x[0].permute(1, 2, 0).reshape(-1, x.shape[1])


def from_rows(rows: Tensor, shape: Sequence[int]) -> Tensor:
    """[1, C, H, W] from rows of cells; H and W are those of a shape [1, any, H, W]."""
    return rows.view(1, shape[2], shape[3], rows.shape[1]).permute(0, 3, 1, 2)


def channel_sum(x: Tensor) -> Tensor:
    """[H, W] from one map [1, C, H, W]; as a product it takes half the time of a sum."""
    return (as_rows(x) @ x.new_ones(x.shape[1])).view(x.shape[2:])
