"""One matrix for all cells of a map: a pointwise convolution with weights of its own per sample.

The few channels that come out lie one after the other, as pictures do, while maps are channels
last. torch's own way from one to the other takes three times as long on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from invert.networks.haar import empty


def cell_products(x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """[N, K, H, W] = weights · x + bias for a map x [N or 1, C, H, W].

    weights  [N or 1, K, C]
    bias     [K]

    Has first derivatives by x and weights, forward and backward; by bias none.
    """
    n = max(len(x), len(weights))
    products: Tensor = CellProducts.apply(x.expand(n, -1, -1, -1), weights.expand(n, -1, -1), bias)
    return products


class CellProducts(torch.autograd.Function):
    """:func:`cell_products` of N samples."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        """The products, sample by sample, so that none depends on the others."""
        x = x.contiguous(memory_format=torch.channels_last)
        products = x.new_empty(len(x), len(bias), x[0, 0].numel())
        for cells, w, out in zip(x.flatten(2), weights, products, strict=True):
            torch.addmm(bias[:, None], w, cells, out=out)
        ctx.save_for_backward(x, weights)
        ctx.save_for_forward(x, weights)
        return products.unflatten(2, x.shape[2:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients by x, channels last, and weights."""
        x, weights = ctx.saved_tensors
        grad = grad.flatten(2)

        x_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = empty(x, x.shape, torch.channels_last)
            for g, w, out in zip(grad, weights, x_grad.flatten(2), strict=True):
                torch.mm(g.T, w, out=out.T)

        pairs = zip(grad, x.flatten(2), strict=True)
        return x_grad, torch.stack([g @ cells.T for g, cells in pairs]), None

    @staticmethod
    def jvp(ctx: Any, x: Tensor | None, weights: Tensor | None, _: None) -> Tensor:
        """The tangent of the products from those of x and weights."""
        x0, weights0 = ctx.saved_tensors
        tangent = x0.new_zeros(len(x0), weights0.shape[1], x0[0, 0].numel())
        if x is not None:
            tangent = tangent + weights0 @ x.flatten(2)
        if weights is not None:
            tangent = tangent + weights @ x0.flatten(2)
        return tangent.unflatten(2, x0.shape[2:])
