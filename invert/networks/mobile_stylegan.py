"""MobileStyleGAN's synthesis: a distilled StyleGAN2 with separable convolutions and wavelet
upsampling.

Layers are numbered like StyleGAN2's; even layers upsample. Differences that matter outside this
file: there is no demodulation, no RGB sum (R_i does not exist), and the last layer makes 12 wavelet
channels of the final image at half its size. Architecture: Belousov, "MobileStyleGAN",
arXiv:2104.04767.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from invert.errors import ModelFileError
from invert.networks.network import Affine, Layer, MappingNetwork, SynthesisNetwork
from invert.networks.stylegan2 import subset


class HaarSynthesis(torch.autograd.Function):
    """[N, C, 2H, 2W] from four Haar bands [N, 4C, H, W] in blocks ll, lh, hl, hh, times 2.

    Orthogonal up to scale, so the backward pass is the analysis. Written out because stacking and
    shuffling moves every
    value five times; here it is twice. The factor ½ of the transform is folded into the weights
    before it.
    """

    @staticmethod
    def forward(ctx: Any, bands: Tensor) -> Tensor:
        n, c4, h, w = bands.shape
        ll, lh, hl, hh = bands.chunk(4, 1)
        x = empty(bands, (n, c4 // 4, 2 * h, 2 * w))
        butterfly(ll + lh, hl + hh, x[:, :, ::2, ::2], x[:, :, ::2, 1::2])
        butterfly(ll - lh, hl - hh, x[:, :, 1::2, ::2], x[:, :, 1::2, 1::2])
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        left, right = grad[:, :, :, ::2], grad[:, :, :, 1::2]
        low, high = left + right, left - right
        n, c, h, w = grad.shape
        bands = empty(grad, (n, 4 * c, h // 2, w // 2))
        ll, lh, hl, hh = bands.chunk(4, 1)
        butterfly(low[:, :, ::2], low[:, :, 1::2], ll, lh)
        butterfly(high[:, :, ::2], high[:, :, 1::2], hl, hh)
        return bands


def empty(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Memory for a map of channels_last, not yet written."""
    return torch.empty(
        shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def butterfly(a: Tensor, b: Tensor, total: Tensor, difference: Tensor) -> None:
    """Write a + b and a − b in place."""
    torch.add(a, b, out=total)
    torch.sub(a, b, out=difference)


def haar_blocks(channels: int) -> Tensor:
    """The order that turns (C lows, then lh, hl, hh per channel) into blocks ll, lh, hl, hh."""
    c = channels // 4
    return torch.cat([torch.arange(c), *(torch.arange(c + k, channels, 3) for k in range(3))])


class SeparableConv(nn.Module):
    """Modulate (and, on even layers, upsample), convolve depthwise then pointwise, noise, bias,
    leaky ReLU.
    """

    def __init__(self, t: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.affine = Affine(t["affine.weight"], t["affine.bias"])
        self.up_affine = None
        if "up_affine.weight" in t:
            self.up_affine = Affine(t["up_affine.weight"] / 2, t["up_affine.bias"] / 2)
        self.register_buffer("weight", t["weight"].contiguous(memory_format=torch.channels_last))
        self.register_buffer("depthwise", t.get("depthwise.weight"))
        self.register_buffer("bias", t["bias"])
        self.register_buffer("noise_strength", t["noise_strength"])
        self.register_buffer("noise_const", t["noise_const"][None, None])
        self.weight: Tensor
        self.depthwise: Tensor | None
        self.bias: Tensor
        self.noise_strength: Tensor
        self.noise_const: Tensor

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        if self.up_affine is not None:
            x = HaarSynthesis.apply(x * self.up_affine(w, x.shape[2:]))
        x = x * self.affine(w, x.shape[2:])
        if self.depthwise is None:
            x = F.conv2d(x, self.weight, self.bias, padding=1)
        else:
            x = F.conv2d(
                F.conv2d(x, self.depthwise, padding=1, groups=x.shape[1]), self.weight, self.bias
            )
        if noise is not None:
            x = x.add_(noise * self.noise_strength)
        return F.leaky_relu_(x, 0.2)  # in place: the backward passes above need neither sum


class MobileStyleGAN(SynthesisNetwork):
    """The network of a converted MobileStyleGAN (see `invert.weights.ffhq_mobile` for the names).

    Raises :class:`ModelFileError` when a tensor is missing or of the wrong shape.
    """

    architecture = "mobile-stylegan"

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        try:
            self._build(tensors)
        except (KeyError, IndexError, RuntimeError) as error:
            raise ModelFileError(f"not a MobileStyleGAN generator: {error}") from error

    def _build(self, tensors: Mapping[str, Tensor]) -> None:
        depth = sum(1 for k in tensors if k.startswith("mapping.fc") and k.endswith(".weight"))
        self.mapping = MappingNetwork(
            [
                (tensors[f"mapping.fc{k}.weight"], tensors[f"mapping.fc{k}.bias"])
                for k in range(depth)
            ]
        )
        self.register_buffer("w_avg", tensors.get("mapping.w_avg"))
        self.register_buffer("const", tensors["synthesis.const"])
        names = [
            k for k in tensors if k.startswith("synthesis.layer") and k.endswith("noise_const")
        ]
        parts = [subset(tensors, f"synthesis.layer{i}.") for i in range(1, len(names) + 1)]
        for before, part in pairwise(parts):
            # F_i of even layers is kept in the blocks that the transform reads
            if "up_affine.weight" in part:
                order = haar_blocks(part["up_affine.weight"].shape[0])
                before |= {name: before[name][order] for name in ("weight", "bias")}
                part |= {name: part[name][order] for name in ("up_affine.weight", "up_affine.bias")}
        self.convs = nn.ModuleList(SeparableConv(part) for part in parts)
        layers: list[Layer] = []
        channels, height, width = self.const.shape[1:]
        nominal = 4
        for i, conv in enumerate(self.convs, start=1):
            assert isinstance(conv, SeparableConv)
            scale = 1 if conv.up_affine is None else 2
            made = (scale * height, scale * width)
            if tuple(conv.noise_const.shape[2:]) != made:
                found = list(conv.noise_const.shape[2:])
                raise RuntimeError(f"noise of layer {i}: expected {list(made)}, found {found}")
            layers.append(Layer(i, nominal, channels, (height, width), None, made))
            channels, nominal, (height, width) = conv.weight.shape[0], scale * nominal, made
        layers.append(Layer(len(layers) + 1, nominal, channels, (height, width), None, None))
        self.layers = tuple(layers)
        self.image_size = (2 * height, 2 * width)
        head = subset(tensors, "synthesis.head.")
        self.head_affine = Affine(head["affine.weight"], head["affine.bias"])
        order = haar_blocks(head["weight"].shape[0])
        self.register_buffer("head_weight", head["weight"][order] / 2)
        self.register_buffer("head_bias", head["bias"][order] / 2)
        self.head_weight: Tensor
        self.head_bias: Tensor

    def finish(self, x: Tensor, rgb: Tensor | None, style: Tensor) -> Tensor:
        bands = F.conv2d(x * self.head_affine(style, x.shape[2:]), self.head_weight, self.head_bias)
        return HaarSynthesis.apply(bands)
