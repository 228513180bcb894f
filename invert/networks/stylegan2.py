"""StyleGAN2's skip architecture in plain PyTorch, from any layer, with style vectors or style maps.

Numbering follows [S]: odd layers are the second convolution of a resolution, even layers the
up-convolution into the next one, and the last layer is the torgb at full size. Modulation is
applied to activations and demodulation after the convolution ("unfused"): on a CPU that is faster
than one weight per sample, and it is the only form that a style map can take ([S] App. A.1).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invert.errors import ModelFileError
from invert.networks.network import Affine, Layer, MappingNetwork, Size, SynthesisNetwork

# of leaky ReLU 0.2; positively homogeneous, so it is folded into weight, bias and noise
GAIN = math.sqrt(2)
LONGEST_START = 32  # cells of the constant that images start from


def demodulate(style: Tensor, weight_square: Tensor) -> Tensor:
    """Demodulation coefficients d [N, O, H, W] for a style map [N, I, H, W]; H = W = 1 for a
    vector.

    `weight_square` [O, I, 1, 1] is Σ_k w[o, i, k]². [S] eq. A.1 builds [N, O, I, k, k, H, W]; since
    w and s factor,
    the sum over I and k is one 1×1 convolution of s².
    """
    return (F.conv2d(style.square(), weight_square) + 1e-8).rsqrt()


class StyledConv(nn.Module):
    """Modulate, convolve 3×3 (or up-convolve), demodulate, add noise and bias, leaky ReLU."""

    def __init__(
        self, t: Mapping[str, Tensor], up: bool, resample: Tensor, conv_clamp: float | None
    ) -> None:
        super().__init__()
        self.up = up
        self.conv_clamp = conv_clamp
        self.affine = Affine(
            t["affine.weight"] / math.sqrt(t["affine.weight"].shape[1]), t["affine.bias"]
        )
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
        self.blur = Resample(resample, 2.0) if up else None

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        style = self.affine(w, x.shape[2:])
        d = demodulate(style, self.weight_square)
        x = x * style
        if self.blur is None:
            x = F.conv2d(x, self.weight, padding=1)
        else:
            x = self.blur(F.conv_transpose2d(x, self.weight, stride=2))
            if d.shape[2:] != (1, 1):
                d = d.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        x = torch.addcmul(self.bias[:, None, None], x, d)
        if noise is not None:
            x = x.add_(noise * self.noise_strength)
        x = F.leaky_relu_(x, 0.2)  # in place: the backward passes above need neither sum
        return x if self.conv_clamp is None else x.clamp(-self.conv_clamp, self.conv_clamp)


class ToRGB(nn.Module):
    """The RGB addend of one resolution: a modulated 1×1 convolution without demodulation."""

    def __init__(self, t: Mapping[str, Tensor], conv_clamp: float | None) -> None:
        super().__init__()
        self.conv_clamp = conv_clamp
        self.affine = Affine(
            t["affine.weight"] / math.sqrt(t["affine.weight"].shape[1]), t["affine.bias"]
        )
        self.register_buffer("weight", t["weight"] / math.sqrt(t["weight"].shape[1]))
        self.register_buffer("bias", t["bias"])
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.affine(w, x.shape[2:])
        if style.shape[2:] == (1, 1):
            # per-sample weights [N, 3, C]: three rows are cheaper to scale than the whole
            # activation
            weight = self.weight[None, :, :, 0, 0] * style[:, None, :, 0, 0]
            y = torch.einsum("noc,nchw->nohw", weight, x) + self.bias[:, None, None]
        else:
            y = F.conv2d(x * style, self.weight, self.bias)
        return y if self.conv_clamp is None else y.clamp(-self.conv_clamp, self.conv_clamp)


class Resample(nn.Module):
    """Separable FIR filter after a stride-2 transposed 3×3 convolution: [2H+1, 2W+1] to [2H, 2W]."""

    def __init__(self, taps: Tensor, gain: float) -> None:
        super().__init__()
        self.register_buffer("taps", taps / taps.sum() * gain)  # gain per axis
        self.taps: Tensor

    def forward(self, x: Tensor) -> Tensor:
        channels, n = x.shape[1], len(self.taps)
        before, after = (n + 1) // 2 - 1, (n - 2) // 2
        x = F.pad(x, (before, after, before, after))
        x = F.conv2d(
            x, self.taps.flip(0).view(1, 1, n, 1).expand(channels, 1, n, 1), groups=channels
        )
        return F.conv2d(
            x, self.taps.flip(0).view(1, 1, 1, n).expand(channels, 1, 1, n), groups=channels
        )


class StyleGAN2(SynthesisNetwork):
    """The network of a StyleGAN2 checkpoint; every size is inferred from the tensors.

    `tensors` has the names and raw values of StyleGAN2-ADA-PyTorch (see :mod:`invert.checkpoints`).
    Raises :class:`ModelFileError` listing what is missing, unexpected or of the wrong shape.
    """

    architecture = "stylegan2"

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        *,
        conv_clamp: float | None = None,
        mapping_lr_multiplier: float = 0.01,
        resample_filter: Sequence[float] = (1, 3, 3, 1),
    ) -> None:
        super().__init__()
        check_stylegan2(tensors)
        sizes = resolutions(tensors)
        start = tensors["synthesis.b4.const"].shape[1:]
        self.image_size = size_at(start, sizes[-1])
        self.mapping = fold_mapping(tensors, mapping_lr_multiplier)
        self.register_buffer("w_avg", tensors.get("mapping.w_avg"))
        self.register_buffer("const", tensors["synthesis.b4.const"][None])
        taps = torch.tensor(resample_filter, dtype=torch.float32)
        self.convs = nn.ModuleList()
        self.torgbs = nn.ModuleList()
        layers: list[Layer] = []
        for r in sizes:
            for conv in ("conv0", "conv1"):
                if r == 4 and conv == "conv0":
                    continue
                part = subset(tensors, f"synthesis.b{r}.{conv}.")
                up = conv == "conv0"
                side = r // 2 if up else r
                rgb = None if r == 4 else size_at(start, r // 2)  # torgb @ r runs after conv1 @ r
                channels, cells = part["weight"].shape[1], size_at(start, side)
                layers.append(Layer(len(layers) + 1, side, channels, cells, rgb, size_at(start, r)))
                self.convs.append(StyledConv(part, up, taps, conv_clamp))
            self.torgbs.append(ToRGB(subset(tensors, f"synthesis.b{r}.torgb."), conv_clamp))
        channels = tensors[f"synthesis.b{sizes[-1]}.torgb.weight"].shape[1]
        rgb = size_at(start, sizes[-1] // 2)
        layers.append(Layer(len(layers) + 1, sizes[-1], channels, self.image_size, rgb, None))
        self.layers = tuple(layers)
        self.register_buffer("rgb_taps", torch.outer(taps, taps) / taps.sum() ** 2 * 4)
        self.rgb_taps: Tensor

    def rgb_after(self, index: int, x: Tensor, rgb: Tensor | None, style: Tensor) -> Tensor | None:
        # the last torgb is a layer of its own
        resolution_done = index % 2 == 1 and index + 1 < self.num_ws
        return self.add_rgb(rgb, x, style, index // 2) if resolution_done else rgb

    def finish(self, x: Tensor, rgb: Tensor | None, style: Tensor) -> Tensor:
        return self.add_rgb(rgb, x, style, len(self.torgbs) - 1)

    def add_rgb(self, rgb: Tensor | None, x: Tensor, style: Tensor, block: int) -> Tensor:
        """The RGB sum after block `block`: the old sum upsampled, plus this block's addend."""
        y = self.torgbs[block](x, style)
        if rgb is None:
            return y
        n = self.rgb_taps.shape[0]
        weight = self.rgb_taps.expand(3, 1, n, n)
        upsampled = F.conv_transpose2d(rgb, weight, stride=2, padding=(n - 2) // 2, groups=3)
        # An odd filter leaves one row and one column over.
        return y + upsampled[:, :, : y.shape[2], : y.shape[3]]


def subset(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below `prefix`, without it."""
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def resolutions(tensors: Mapping[str, Tensor]) -> list[int]:
    """[4, 8, …, R] of the synthesis blocks present."""
    found = (re.match(r"synthesis\.b(\d+)\.", name) for name in tensors)
    return sorted({int(match[1]) for match in found if match})


def size_at(start: Sequence[int], resolution: int) -> Size:
    """(height, width) of the maps of block `resolution`; `start` is that of the constant."""
    return start[0] * resolution // 4, start[1] * resolution // 4


def fold_mapping(tensors: Mapping[str, Tensor], lr_multiplier: float) -> MappingNetwork:
    """The mapping network with run-time gains folded: lr/√fan_in on weights, lr on biases, 1/√c_dim
    on labels.
    """
    depth = sum(1 for k in tensors if k.startswith("mapping.fc") and k.endswith(".weight"))
    layers = []
    for k in range(depth):
        weight, bias = tensors[f"mapping.fc{k}.weight"], tensors[f"mapping.fc{k}.bias"]
        layers.append((weight * (lr_multiplier / math.sqrt(weight.shape[1])), bias * lr_multiplier))
    embed = tensors.get("mapping.embed.weight")
    if embed is None:
        return MappingNetwork(layers)
    return MappingNetwork(
        layers, (embed / math.sqrt(embed.shape[1]), tensors["mapping.embed.bias"])
    )


def check_stylegan2(tensors: Mapping[str, Tensor]) -> None:
    """Raise :class:`ModelFileError` unless the tensors are exactly those of one StyleGAN2
    generator.
    """
    sizes = resolutions(tensors)
    if not sizes or sizes != [4 << k for k in range(len(sizes))] or len(sizes) < 2:
        raise ModelFileError(f"expected synthesis blocks 4, 8, 16, …; found {sizes or 'none'}")
    if "mapping.fc0.weight" not in tensors:
        raise ModelFileError("expected mapping.fc0.weight; the mapping network is missing")
    check_start(tensors)
    problems = [
        f"{name}: expected {list(shape)}, found {list(tensors[name].shape) if name in tensors else 'nothing'}"
        for name, shape in expected_shapes(tensors, sizes).items()
        if name not in tensors or tuple(tensors[name].shape) != shape
    ]
    known = {*expected_shapes(tensors, sizes), "mapping.w_avg"}
    problems += [f"{name}: unexpected" for name in tensors if name not in known]
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise ModelFileError("not a StyleGAN2 generator: " + "; ".join(problems[:5]) + more)


def check_start(tensors: Mapping[str, Tensor]) -> None:
    """Raise :class:`ModelFileError` unless the constant is [C, 4, 4], or no square.

    StyleGAN-Human has 4×2; forks for other aspects have any, such as 4×6. All later sizes are its
    doubles.
    """
    const = tensors.get("synthesis.b4.const")
    if const is None or const.ndim != 3:
        return  # named with its shape by the caller
    height, width = const.shape[1:]
    possible = min(height, width) >= 1 and max(height, width) <= LONGEST_START
    if not possible or (height == width and height != 4):
        raise ModelFileError(
            "synthesis.b4.const: expected 4×4 cells, or a rectangle of at most "
            f"{LONGEST_START} a side, got {height}×{width}"
        )


def start_size(tensors: Mapping[str, Tensor], sizes: Sequence[int]) -> Size:
    """(height, width) of the constant as most maps have it, itself and those of noise: the odd one
    is the wrong one.
    """
    maps = {4: [tensors["synthesis.b4.const"]] if "synthesis.b4.const" in tensors else []}
    for r in sizes:
        names = (f"synthesis.b{r}.{conv}.noise_const" for conv in ("conv0", "conv1"))
        maps.setdefault(r, []).extend(tensors[name] for name in names if name in tensors)
    votes = Counter(
        (t.shape[-2] * 4 // r, t.shape[-1] * 4 // r)
        for r, group in maps.items()
        for t in group
        if t.ndim >= 2
    )
    # the constant's where there is no majority
    return max(votes, key=votes.__getitem__, default=(-1, -1))


def expected_shapes(
    tensors: Mapping[str, Tensor], sizes: Sequence[int]
) -> dict[str, tuple[int, ...]]:
    """Name → shape of a whole generator, from the widths of the tensors that decide them."""

    def dim(name: str, axis: int) -> int:
        t = tensors.get(name)
        return t.shape[axis] if t is not None and t.ndim > axis else -1

    shapes: dict[str, tuple[int, ...]] = {}
    depth = sum(1 for k in tensors if k.startswith("mapping.fc") and k.endswith(".weight"))
    w_dim = dim(f"mapping.fc{depth - 1}.weight", 0)
    c_dim = dim("mapping.embed.weight", 1) if "mapping.embed.weight" in tensors else 0
    if c_dim:
        embed_dim = dim("mapping.embed.weight", 0)
        shapes |= {"mapping.embed.weight": (embed_dim, c_dim), "mapping.embed.bias": (embed_dim,)}
    width = dim("mapping.fc0.weight", 1)
    for k in range(depth):
        out = dim(f"mapping.fc{k}.weight", 0)
        shapes |= {f"mapping.fc{k}.weight": (out, width), f"mapping.fc{k}.bias": (out,)}
        width = out
    channels = dim("synthesis.b4.const", 0)
    start = start_size(tensors, sizes)
    shapes["synthesis.b4.const"] = (channels, *start)
    if "mapping.w_avg" in tensors:
        shapes["mapping.w_avg"] = (w_dim,)
    for r in sizes:
        out = dim(f"synthesis.b{r}.conv1.weight", 0)
        for conv in ("conv0", "conv1")[r == 4 :]:
            p = f"synthesis.b{r}.{conv}."
            shapes |= {
                p + "weight": (out, channels, 3, 3),
                p + "bias": (out,),
                p + "noise_strength": (),
            }
            shapes |= {p + "affine.weight": (channels, w_dim), p + "affine.bias": (channels,)}
            shapes[p + "noise_const"] = size_at(start, r)
            channels = out
        p = f"synthesis.b{r}.torgb."
        shapes |= {p + "weight": (3, out, 1, 1), p + "bias": (3,)}
        shapes |= {p + "affine.weight": (out, w_dim), p + "affine.bias": (out,)}
    return shapes
