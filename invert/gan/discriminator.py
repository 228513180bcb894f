"""The discriminator of StyleGAN2: residual blocks, and the spread of a batch as a feature.

[K] section 3.2 chooses a residual discriminator; minibatch standard deviation and equalized
learning rates are those of progressive GANs (Karras et al. 2018). Names of tensors are those of
StyleGAN2-ADA-PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invert.networks.initialize import width_at
from invert.networks.stylegan2 import Blur

GAIN = math.sqrt(2)  # of leaky ReLU 0.2


class EqualConv(nn.Module):
    """A convolution of equalized learning rate: the weights are scaled by 1 / √fan-in as it runs.

    With `taps` it halves the size, after a blur by them. `gain` scales the output.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        random: torch.Generator,
        bias: bool = True,
        activate: bool = True,
        gain: float = 1.0,
        taps: Tensor | None = None,
    ) -> None:
        super().__init__()
        shape = (outputs, inputs, kernel, kernel)
        self.weight = nn.Parameter(torch.randn(shape, generator=random, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32)) if bias else None
        self.scale = 1 / math.sqrt(inputs * kernel * kernel)
        self.activate = activate
        self.gain = gain
        self.pad = kernel // 2
        self.blur = None if taps is None else Blur(taps, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """[N, O, H, W], or half of each side."""
        # leaky ReLU commutes with its gain, so that both gains go to the weight and the bias.
        gain = self.gain * (GAIN if self.activate else 1.0)
        weight = self.weight * (self.scale * gain)
        bias = None if self.bias is None else self.bias * gain

        if self.blur is None:
            x = F.conv2d(x, weight, bias, padding=self.pad)
        else:
            # The blur takes one cell away: [H + 2p] becomes [H + 2p − 1], then stride 2.
            x = self.blur(F.pad(x, [self.pad] * 4) if self.pad else x)
            x = F.conv2d(x, weight, bias, stride=2)
        return F.leaky_relu(x, 0.2) if self.activate else x


class EqualLinear(nn.Module):
    """A fully connected layer of equalized learning rate."""

    def __init__(
        self, inputs: int, outputs: int, *, random: torch.Generator, activate: bool = True
    ) -> None:
        super().__init__()
        shape = (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(shape, generator=random, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32))
        self.scale = 1 / math.sqrt(inputs)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """[N, O]."""
        x = F.linear(x, self.weight * self.scale, self.bias)
        return F.leaky_relu(x, 0.2) * GAIN if self.activate else x


class Block(nn.Module):
    """Two convolutions beside a skip connection, to half the size; both paths have gain √½."""

    def __init__(
        self, inputs: int, outputs: int, *, colours: bool, taps: Tensor, random: torch.Generator
    ) -> None:
        super().__init__()
        self.fromrgb = EqualConv(3, inputs, 1, random=random) if colours else None
        self.conv0 = EqualConv(inputs, inputs, 3, random=random)
        half = math.sqrt(0.5)
        self.conv1 = EqualConv(inputs, outputs, 3, random=random, gain=half, taps=taps)
        self.skip = EqualConv(
            inputs, outputs, 1, random=random, bias=False, activate=False, gain=half, taps=taps
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, O, H/2, W/2] from features, or from the image in the first block."""
        if self.fromrgb is not None:
            x = self.fromrgb(x)
        return self.skip(x) + self.conv1(self.conv0(x))


class Epilogue(nn.Module):
    """The last 4×4 features, with the batch's spread among them, to one logit."""

    def __init__(self, channels: int, group: int, *, random: torch.Generator) -> None:
        super().__init__()
        self.group = group
        self.conv = EqualConv(channels + 1, channels, 3, random=random)
        self.fc = EqualLinear(channels * 16, channels, random=random)
        self.out = EqualLinear(channels, 1, random=random, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, 1]."""
        x = torch.cat([x, minibatch_std(x, self.group)], 1)
        return self.out(self.fc(self.conv(x).flatten(1)))


class Discriminator(nn.Module):
    """Logits [N, 1] of images [N, 3, R, R]: the higher, the more like real ones.

    The batch is a multiple of `group`, or smaller than it. Widths are those of the generator:
    min(channel_base / r, channel_max) at resolution r.
    """

    def __init__(
        self,
        resolution: int,
        *,
        channel_base: int = 32768,
        channel_max: int = 512,
        group: int = 4,
        resample_filter: Sequence[float] = (1, 3, 3, 1),
        seed: int = 0,
    ) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        taps = torch.tensor(resample_filter, dtype=torch.float32)
        self.resolution = resolution

        r, blocks = resolution, []
        while r > 4:
            inputs, outputs = (width_at(s, channel_base, channel_max) for s in (r, r // 2))
            block = Block(inputs, outputs, colours=r == resolution, taps=taps, random=random)
            self.add_module(f"b{r}", block)
            blocks.append(f"b{r}")
            r //= 2
        self.b4 = Epilogue(width_at(4, channel_base, channel_max), group, random=random)
        self.blocks = blocks

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, 1]."""
        x = images.contiguous(memory_format=torch.channels_last)
        for name in self.blocks:
            x = self.get_submodule(name)(x)
        return self.b4(x)


def minibatch_std(x: Tensor, group: int) -> Tensor:
    """The mean standard deviation within groups of samples, as a map [N, 1, H, W].

    Samples k, k + N / group, … form a group. Collapsed batches of a generator have none to show.
    """
    count, _, height, width = x.shape
    size = min(group, count)

    y = x.reshape(size, -1, *x.shape[1:])
    y = y - y.mean(0)
    y = (y.square().mean(0) + 1e-8).sqrt().mean([1, 2, 3])  # [N / group]
    return y.repeat(size)[:, None, None, None].expand(-1, 1, height, width)
