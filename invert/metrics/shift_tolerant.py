"""Backbones of shift-tolerant LPIPS: AlexNet and VGG16 with a blur in the place of every stride.

Pools and AlexNet's first convolution run at stride 1; a reflect-padded [1, 2, 1] blur then keeps
every second pixel. A. Ghildyal and F. Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV
2022; the blur is that of R. Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML
2019.

Everything else is as in :mod:`invert.metrics.backbones`.
"""

from __future__ import annotations

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
    half the size, which is faster on a CPU than 3 channels. Only the blur's reflection at the far
    edges does not fit in, so a strip is computed there by the definition.
    """

    PADDING = 2
    # rows of the padded image: the last row of the result depends on 12, its reflection needs 13
    STRIP = 14

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.blur = BlurPool(weight.shape[0])
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("block_weight", self._block_weight())
        self.weight: Tensor
        self.bias: Tensor
        self.block_weight: Tensor

    def _block_weight(self) -> Tensor:
        outputs, inputs, side, _ = self.weight.shape
        kernels = self.weight.double().reshape(outputs * inputs, 1, side, side)
        blurred = F.conv_transpose2d(kernels, self.blur.kernel[:1].double())
        blurred = F.pad(blurred, (0, 1, 0, 1)).reshape(outputs, inputs, side + 3, side + 3)
        return F.pixel_unshuffle(blurred, 2).to(self.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """The blurred convolution [N, C, h, w] of [N, 3, H, W]."""
        height, width = x.shape[2:]
        x = F.pad(x, (self.PADDING,) * 4)
        blocks = F.pixel_unshuffle(F.pad(x, (0, width % 2, 0, height % 2)), 2)
        blocks = blocks.contiguous(memory_format=torch.channels_last)

        # The blur is symmetric, so its reflection at the near edge repeats the first row and
        # column.
        inner = F.pad(
            F.conv2d(blocks, self.block_weight, self.bias), (1, 0, 1, 0), mode="replicate"
        )

        # Its reflection at the far edges, by the definition.
        bottom = self._as_defined(x[:, :, -(self.STRIP + height % 2) :])[:, :, -1:]
        right = self._as_defined(x[:, :, :, -(self.STRIP + width % 2) :])[:, :, :-1, -1:]
        return torch.cat([torch.cat([inner, right], dim=3), bottom], dim=2)

    def _as_defined(self, padded: Tensor) -> Tensor:
        return self.blur(F.conv2d(padded, self.weight, self.bias))


def alexnet_stages(tensors: Tensors) -> list[nn.Module]:
    """AlexNet's five stages, each ending in a ReLU. Raises KeyError when a tensor is missing."""
    first = BlurredConv(tensors["conv0.weight"], tensors["conv0.bias"])
    return backbones.alexnet_stages(tensors, first=first, pool=_pool(3))


def vgg16_stages(tensors: Tensors) -> list[nn.Module]:
    """VGG16's five stages, each ending in a ReLU. Raises KeyError when a tensor is missing."""
    return backbones.vgg16_stages(tensors, pool=_pool(2))


def _pool(side: int) -> Pool:
    return lambda channels: [nn.MaxPool2d(side, stride=1), BlurPool(channels)]
