"""The heads of an encoder: maps and styles from the activations of its backbone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invert.encoders.backbones import WIDTHS

LAYOUT = 4  # cells per side of what the style head sees of where things are
LAYOUT_WIDTH = 64  # channels of it
STYLE_WIDTH = 256  # of the style head's hidden layer; its outputs are a quarter of all weights


class MapHead(nn.Module):
    """A map at one stride from the backbone's activations of half that stride and all coarser ones.

    They are brought to one size and mixed by 3×3 convolutions, so that a cell knows its neighbours
    and what the whole is, and a wider image gives a wider map.
    """

    def __init__(self, stride: int, width: int, channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.strides = [s for s in WIDTHS if 2 * s >= stride]
        self.enter = convolution(sum(WIDTHS[s] for s in self.strides), width, 1)
        self.mix = nn.Sequential(convolution(width, width, 3), convolution(width, width, 3))
        self.leave = nn.Conv2d(width, channels, 1)

    def forward(self, activations: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The map [N, channels, h, w], and [N, width, h, w] from which it was made."""
        height, width = activations[endpoint(self.stride)].shape[2:]
        x = self.enter(
            torch.cat([resized(activations[endpoint(s)], (height, width)) for s in self.strides], 1)
        )
        x = x + self.mix(x)
        return self.leave(x), x


class StyleHead(nn.Module):
    """Offsets of all styles from the mean w, from what is seen and, coarsely, where."""

    def __init__(self, seen: int, width: int, outputs: int) -> None:
        super().__init__()
        self.where = nn.Conv2d(width, LAYOUT_WIDTH, 1)
        self.enter = nn.Linear(seen + LAYOUT_WIDTH * LAYOUT**2, STYLE_WIDTH)
        self.leave = nn.Linear(STYLE_WIDTH, outputs)

    def forward(self, seen: Tensor, x: Tensor) -> Tensor:
        """[N, outputs] from the backbone's last activation [N, seen, h, w] and F_i's hidden map."""
        where = F.adaptive_avg_pool2d(self.where(x), LAYOUT)
        return self.leave(
            F.silu(self.enter(torch.cat([seen.mean(dim=(2, 3)), where.flatten(1)], 1)))
        )


def convolution(inputs: int, outputs: int, side: int) -> nn.Sequential:
    """A convolution, batch norm and SiLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    )


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A map brought to a size: cells are averaged on the way down, interpolated on the way up."""
    if x.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(x, size)
    if tuple(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def endpoint(stride: int) -> str:
    """EfficientNet's name of its last activation at a stride."""
    return f"reduction_{int(math.log2(stride))}"
