"""StyleGAN2's skip architecture [K] in plain PyTorch, from any layer, with style vectors or maps.

Layers are numbered as in [S]: odd layers are the second convolution of a resolution, even layers
the up-convolution into the next one, and the last layer is the torgb at full size. A layer does

    x' = lrelu(√2 · (d · (w ∗ (s · x)) + noise + bias)),    s = A(w_i),    d = 1 / √(Σ (w s)² + ε)

[K] eqs. 1 and 3 scale the weights by s and d instead, one set of weights per sample. Scaling the
activations, before and after the convolution, gives the same, is faster on a CPU, and is the only
form that a style map can take ([S] App. A.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invert.errors import ModelFileError
from invert.latent_maps.kinds import latent_map_from_config
from invert.networks.network import Affine, Layer, MappingNetwork, Size, Style, SynthesisNetwork
from invert.networks.receptive_field import read_by_blur, read_by_conv, read_by_upsampling
from invert.networks.stylegan2_tensors import (
    check_stylegan2,
    const_size,
    first_block,
    first_layer,
    mapping_depth,
    resolutions,
    size_at,
    subset,
)
from invert.networks.windows import Interval

# What the official networks have; checkpoints that do not say otherwise are read with them.
DEFAULT_LR_MULTIPLIER = 0.01  # of the mapping network
DEFAULT_RESAMPLE_FILTER = (1, 3, 3, 1)

# The gain of leaky ReLU 0.2. As √2 lrelu(x) = lrelu(√2 x), it is folded into weight, bias and noise
# strength.
GAIN = math.sqrt(2)


def demodulate(style: Tensor, weight_square: Tensor) -> Tensor:
    """Demodulation coefficients d [N, O, H, W] for a style map s [N, I, H, W]; a vector has 1×1.

    d_o = 1 / √(Σ_i s_i² Σ_k w_oik² + ε), [K] eq. 3; `weight_square` [O, I, 1, 1] is Σ_k w_oik².
    [S] App. A.1 builds all products first, [N, O, I, k, k, H, W]. Since w and s factor, the sum
    over i and k is one 1×1 convolution of s².
    """
    return (F.conv2d(style.square(), weight_square) + 1e-8).rsqrt()


class StyledConv(nn.Module):
    """Modulate, convolve 3×3 (or up-convolve), demodulate, add noise and bias, leaky ReLU."""

    def __init__(
        self, t: Mapping[str, Tensor], up: bool, taps: Tensor, conv_clamp: float | None
    ) -> None:
        super().__init__()
        self.up = up
        self.conv_clamp = conv_clamp
        self.affine = affine(t)

        # Gain 2 per axis makes up for the zeros that the transposed convolution puts between cells.
        self.blur = Blur(taps, 2.0) if up else None

        # d comes from the weight without GAIN: with it, demodulation would divide GAIN out.
        weight = t["weight"]
        self.register_buffer("weight_square", weight.square().sum([2, 3])[:, :, None, None])
        weight = (weight * GAIN).contiguous(memory_format=torch.channels_last)

        self.register_buffer("weight", weight.transpose(0, 1) if up else weight)
        self.register_buffer("bias", t["bias"] * GAIN)
        self.register_buffer("noise_strength", t["noise_strength"] * GAIN)
        self.register_buffer("noise_const", t["noise_const"][None, None])
        self.weight: Tensor
        self.weight_square: Tensor
        self.bias: Tensor
        self.noise_strength: Tensor
        self.noise_const: Tensor

    def forward(self, x: Tensor, w: Style, noise: Tensor | None) -> Tensor:
        """F_{i+1} [N, O, …] from F_i [N, I, H, W], of twice the size where the layer upsamples."""
        # Style s = A(w) per input channel, and the demodulation that undoes its scale.
        style = self.affine(w, x.shape[2:])
        d = demodulate(style, self.weight_square)

        # Modulate, then convolve. An up-convolution is followed by the blur, and d, made at the
        # input's size, is repeated to the output's.
        x = x * style
        if self.blur is None:
            x = F.conv2d(x, self.weight, padding=1)
        else:
            x = self.blur(F.conv_transpose2d(x, self.weight, stride=2))
            if d.shape[2:] != (1, 1):
                d = d.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

        # Demodulate, add the bias and the noise: x · d + b + n.
        x = torch.addcmul(self.bias[:, None, None], x, d)
        if noise is not None:
            x = x.add_(noise * self.noise_strength)

        # In place is safe: no backward pass reads the values that are overwritten.
        x = F.leaky_relu_(x, 0.2)
        return x if self.conv_clamp is None else x.clamp(-self.conv_clamp, self.conv_clamp)


class ToRGB(nn.Module):
    """The RGB addend of one resolution: a modulated 1×1 convolution without demodulation."""

    def __init__(self, t: Mapping[str, Tensor], conv_clamp: float | None) -> None:
        super().__init__()
        self.conv_clamp = conv_clamp
        self.affine = affine(t)
        # Equalized learning rate: 1/√C at run time.
        self.register_buffer("weight", t["weight"] / math.sqrt(t["weight"].shape[1]))
        self.register_buffer("bias", t["bias"])
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor, w: Style) -> Tensor:
        """The addend [N, 3, H, W] from features [N, C, H, W]."""
        style = self.affine(w, x.shape[2:])

        if style.shape[2:] == (1, 1):
            # A vector scales the weights, per sample [N, 3, C]: cheaper than the whole activation.
            weight = self.weight[None, :, :, 0, 0] * style[:, None, :, 0, 0]
            y = torch.einsum("noc,nchw->nohw", weight, x) + self.bias[:, None, None]
        else:
            # A map can only scale the activation.
            y = F.conv2d(x * style, self.weight, self.bias)

        return y if self.conv_clamp is None else y.clamp(-self.conv_clamp, self.conv_clamp)


class Blur(nn.Module):
    """The blur after a stride-2 transposed 3×3 convolution: [2H+1, 2W+1] to [2H, 2W].

    A separable FIR filter, one axis after the other.
    """

    def __init__(self, taps: Tensor, gain: float) -> None:
        super().__init__()
        self.register_buffer("taps", taps / taps.sum() * gain)  # gain per axis
        self.taps: Tensor
        self.before = (len(taps) + 1) // 2 - 1  # zeros in front

    def forward(self, x: Tensor) -> Tensor:
        """The blurred map, one cell smaller in each axis."""
        channels, n = x.shape[1], len(self.taps)
        before, after = self.before, (n - 2) // 2
        x = F.pad(x, (before, after, before, after))

        # conv2d correlates, hence the flip; down the columns, then along the rows.
        taps = self.taps.flip(0)
        x = F.conv2d(x, taps.view(1, 1, n, 1).expand(channels, 1, n, 1), groups=channels)
        return F.conv2d(x, taps.view(1, 1, 1, n).expand(channels, 1, 1, n), groups=channels)


class StyleGAN2(SynthesisNetwork):
    """The network of a StyleGAN2 checkpoint; every size follows from the tensors.

    `tensors` has the names and raw values of StyleGAN2-ADA-PyTorch (see :mod:`invert.checkpoints`).
    `latent_map` describes the distribution of F_i in a generator of FNZ_i, whose tensors start at a
    later block, and is None for all others. Raises :class:`ModelFileError` listing what is missing
    or of the wrong shape.
    """

    architecture = "stylegan2"

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        *,
        conv_clamp: float | None = None,
        mapping_lr_multiplier: float = DEFAULT_LR_MULTIPLIER,
        resample_filter: Sequence[float] = DEFAULT_RESAMPLE_FILTER,
        latent_map: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_stylegan2(tensors)
        check_latent_map(tensors, latent_map)
        sizes, block = resolutions(tensors), first_block(tensors)
        start = const_size(tensors)
        taps = torch.tensor(resample_filter, dtype=torch.float32)

        # Mapping network, mean w and learned constant, or a draw of the latent map.
        self.mapping = fold_mapping(tensors, mapping_lr_multiplier)
        self.register_buffer("w_avg", tensors.get("mapping.w_avg"))
        self.register_buffer("const", tensors[f"synthesis.b{block}.const"][None])
        self.first = first_layer(block)
        self.latent_map = None if latent_map is None else latent_map_from_config(latent_map)

        # Per resolution r: up-convolution, convolution, RGB addend. The constant has no
        # up-convolution. Both layers of r receive the RGB sum of size r / 2; torgb adds to it after
        # the second.
        self.convs = nn.ModuleList()
        self.torgbs = nn.ModuleList()
        layers = missing_layers(self.const, start, block)
        for r in sizes:
            rgb = None if r == 4 else size_at(start, r // 2)
            for up in (False,) if r == block else (True, False):
                part = subset(tensors, f"synthesis.b{r}.{'conv0' if up else 'conv1'}.")
                side = r // 2 if up else r
                channels, cells = part["weight"].shape[1], size_at(start, side)
                layer = Layer(
                    index=len(layers) + 1,
                    nominal=side,
                    channels=channels,
                    cells=cells,
                    rgb_cells=rgb,
                    noise_cells=size_at(start, r),
                )
                layers.append(layer)
                self.convs.append(StyledConv(part, up, taps, conv_clamp))
            self.torgbs.append(ToRGB(subset(tensors, f"synthesis.b{r}.torgb."), conv_clamp))

        # The last torgb is a layer of its own: it reads the last features and the last style.
        last = sizes[-1]
        self.image_size = size_at(start, last)
        channels = tensors[f"synthesis.b{last}.torgb.weight"].shape[1]
        rgb = size_at(start, last // 2)
        torgb = Layer(
            index=len(layers) + 1,
            nominal=last,
            channels=channels,
            cells=self.image_size,
            rgb_cells=rgb,
            noise_cells=None,
        )
        layers.append(torgb)
        self.layers = tuple(layers)

        # The filter that upsamples the RGB sum, with gain 2 per axis as above.
        self.register_buffer("rgb_taps", torch.outer(taps, taps) / taps.sum() ** 2 * 4)
        self.rgb_taps: Tensor

    def reads(self, index: int, cells: Interval) -> Interval:
        """3×3, or the up-convolution: the blur, then the transposed convolution; torgb is 1×1."""
        if index == self.num_ws:
            return cells
        conv = self.conv(index)
        assert isinstance(conv, StyledConv)
        if conv.blur is None:
            return read_by_conv(cells)
        return read_by_upsampling(
            read_by_blur(cells, len(conv.blur.taps), conv.blur.before), taps=3, before=0
        )

    def rgb_reads(self, cells: Interval) -> Interval:
        """Those under the filter of the skip connection."""
        n = self.rgb_taps.shape[0]
        return read_by_upsampling(cells, taps=n, before=(n - 2) // 2)

    def rgb_after(self, index: int, x: Tensor, rgb: Tensor | None, style: Style) -> Tensor | None:
        """The RGB sum after layer `index`: odd layers complete a resolution and add to it."""
        completes = index % 2 == 1 and index + 1 < self.num_ws  # the last torgb is in `finish`
        return self.add_rgb(rgb, x, style, (index - self.first) // 2) if completes else rgb

    def finish(self, x: Tensor, rgb: Tensor | None, style: Style) -> Tensor:
        """The image: the RGB sum with the last resolution's addend."""
        return self.add_rgb(rgb, x, style, len(self.torgbs) - 1)

    def add_rgb(self, rgb: Tensor | None, x: Tensor, style: Style, block: int) -> Tensor:
        """The RGB sum after the network's block `block`: the old sum upsampled, plus its addend."""
        y = self.torgbs[block](x, style)
        if rgb is None:
            return y

        # Skip connection [K] fig. 7b: zeros between the cells, then the filter, in one transposed
        # convolution. A filter of odd length leaves one row and one column over.
        n = self.rgb_taps.shape[0]
        weight = self.rgb_taps.expand(3, 1, n, n)
        upsampled = F.conv_transpose2d(rgb, weight, stride=2, padding=(n - 2) // 2, groups=3)
        return y + upsampled[:, :, : y.shape[2], : y.shape[3]]


def missing_layers(const: Tensor, start: Size, block: int) -> list[Layer]:
    """The layers before `block`, which do not exist; their input is the constant of the block."""
    return [
        Layer(
            index=i,
            nominal=4 << i // 2,
            channels=const.shape[1],
            cells=size_at(start, block),
            rgb_cells=None,
            noise_cells=None,
        )
        for i in range(1, first_layer(block))
    ]


def check_latent_map(tensors: Mapping[str, Tensor], latent_map: Mapping[str, Any] | None) -> None:
    """Raise :class:`ModelFileError` unless there is a latent map of F_i where F_i is sampled.

    That is where the tensors start at a later block than 4; the map has F_i's channels.
    """
    block = first_block(tensors)
    if (block > 4) != (latent_map is not None):
        starts = f"the network starts at block {block}"
        raise ModelFileError(
            f"expected a latent_map, as {starts}; it is missing in the config"
            if latent_map is None
            else f"expected no latent_map, as {starts}; only a later block has a sampled F_i"
        )
    if latent_map is None:
        return

    channels = tensors[f"synthesis.b{block}.const"].shape[0]
    found = latent_map_from_config(latent_map).channels
    if found != channels:
        raise ModelFileError(
            f"latent_map: expected {channels} channels, those of F_{first_layer(block)}, "
            f"got {found}; the file contradicts itself"
        )


def affine(t: Mapping[str, Tensor]) -> Affine:
    """The modulation of a layer, A of [K], its equalized learning rate folded in: 1/√w_dim."""
    weight = t["affine.weight"]
    return Affine(weight / math.sqrt(weight.shape[1]), t["affine.bias"])


def fold_mapping(tensors: Mapping[str, Tensor], lr_multiplier: float) -> MappingNetwork:
    """The mapping network with its run-time gains folded into weights and biases.

    These are lr/√fan_in on weights, lr on biases, and 1/√c_dim on the embedding of labels.
    """
    layers = []
    for k in range(mapping_depth(tensors)):
        weight, bias = tensors[f"mapping.fc{k}.weight"], tensors[f"mapping.fc{k}.bias"]
        layers.append((weight * (lr_multiplier / math.sqrt(weight.shape[1])), bias * lr_multiplier))

    embed = tensors.get("mapping.embed.weight")
    if embed is None:
        return MappingNetwork(layers)
    embedding = (embed / math.sqrt(embed.shape[1]), tensors["mapping.embed.bias"])
    return MappingNetwork(layers, embedding)
