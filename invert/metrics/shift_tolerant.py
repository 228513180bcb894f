"""Backbones of shift-tolerant LPIPS: AlexNet and VGG16 with a blur in the place of every stride.

Pools and AlexNet's first convolution run at stride 1; a reflect-padded [1, 2, 1] blur then keeps
every second pixel. A. Ghildyal and F. Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV
2022; the blur is that of R. Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML
2019.

Everything else is as in :mod:`invert.metrics.backbones`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invert.metrics import backbones
from invert.metrics.backbones import Pool, Tensors


class BlurPool(nn.Module):
    """Every second pixel of the blurred map.

    [N, C, H, W] becomes [N, C, (H + 1) // 2 + 1, (W + 1) // 2 + 1].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(taps, taps).repeat(channels, 1, 1, 1))
        self.kernel: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """The blurred map, at half the size."""
        # Depthwise in channels_last: faster on a CPU than average pools or separate rows and
        # columns. In bfloat16 a CPU takes twice as long for it, and more for its gradient.
        dtype = x.dtype
        if dtype == torch.bfloat16 and x.device.type == "cpu":
            x = x.float()
        padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
        blurred = F.conv2d(padded, self.kernel.to(x.dtype), stride=2, groups=x.shape[1])
        return blurred.to(dtype)


class BlurredConv(nn.Module):
    """`BlurPool(conv2d(x, weight, bias, padding=2))` at the cost of a quarter of the convolution.

    Blur and convolution are both linear, so they are one convolution of stride 2 with a kernel of
    11 + 2 = 13 pixels. That in turn is a convolution of stride 1 over blocks of 2 x 2 pixels, with
    a kernel of 7 x 7 blocks once a row and a column of zeros are added: 4 times the channels at
    half the size, which is faster on a CPU than 3 channels.

    At its borders the blur reflects. There it sees three rows in the opposite order, which is the
    same since it is symmetric, so the row beside is repeated. Only at the far border of an even
    number of rows it sees two, as often as each other, which takes a kernel of 12 pixels.
    """

    PADDING = 2
    USUAL, FAR = (1.0, 2.0, 1.0), (1.0, 1.0)  # times that the blur sees its rows or columns

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("bias", bias)
        self.register_buffer("inner", block_weight(weight, self.USUAL, self.USUAL))
        self.register_buffer("bottom", block_weight(weight, self.FAR, self.USUAL))
        self.register_buffer("right", block_weight(weight, self.USUAL, self.FAR))
        self.register_buffer("corner", block_weight(weight, self.FAR, self.FAR))
        self.bias: Tensor
        self.inner: Tensor
        self.bottom: Tensor
        self.right: Tensor
        self.corner: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """The blurred convolution [N, C, h, w] of [N, 3, H, W]."""
        odd_rows, odd_columns = x.shape[2] % 2, x.shape[3] % 2
        x = F.pad(x, (self.PADDING,) * 4)
        blocks = F.pixel_unshuffle(F.pad(x, (0, odd_columns, 0, odd_rows)), 2)
        blocks = blocks.contiguous(memory_format=torch.channels_last)

        blurred = self.rows(blocks, self.inner, self.right, odd_columns)
        if not odd_rows:
            last = blocks[:, :, -self.bottom.shape[2] :]
            last = self.rows(last, self.bottom, self.corner, odd_columns)
            blurred = torch.cat([blurred, last], dim=2)
        return F.pad(blurred, (1, odd_columns, 1, odd_rows), mode="replicate")

    def rows(self, blocks: Tensor, inner: Tensor, right: Tensor, odd_columns: int) -> Tensor:
        """Rows of the result, with the far border of an even number of columns."""
        found = F.conv2d(blocks, inner, self.bias)
        if odd_columns:
            return found
        last = F.conv2d(blocks[:, :, :, -right.shape[3] :], right, self.bias)
        return torch.cat([found, last], dim=3)


def block_weight(weight: Tensor, down: Sequence[float], across: Sequence[float]) -> Tensor:
    """Kernels over blocks of 2 x 2 pixels of a convolution [K, C, side, side] that is blurred.

    `down` and `across` are the blur's taps along columns and rows, before division by their sum.
    """
    outputs, inputs, side, _ = weight.shape
    columns, rows = (torch.tensor(t, dtype=torch.float32) for t in (down, across))
    taps = torch.outer(columns, rows).double()
    kernels = weight.double().reshape(outputs * inputs, 1, side, side)
    blurred = F.conv_transpose2d(kernels, (taps / taps.sum())[None, None])

    height, width = blurred.shape[2:]
    blurred = F.pad(blurred, (0, width % 2, 0, height % 2))
    blurred = blurred.reshape(outputs, inputs, *blurred.shape[2:])
    return F.pixel_unshuffle(blurred, 2).to(weight.dtype)


def alexnet_stages(tensors: Tensors) -> list[nn.Module]:
    """AlexNet's five stages, each ending in a ReLU. Raises KeyError when a tensor is missing."""
    first = BlurredConv(tensors["conv0.weight"], tensors["conv0.bias"])
    return backbones.alexnet_stages(tensors, first=first, pool=_pool(3))


def vgg16_stages(tensors: Tensors) -> list[nn.Module]:
    """VGG16's five stages, each ending in a ReLU. Raises KeyError when a tensor is missing."""
    return backbones.vgg16_stages(tensors, pool=_pool(2))


def _pool(side: int) -> Pool:
    return lambda channels: [nn.MaxPool2d(side, stride=1), BlurPool(channels)]
