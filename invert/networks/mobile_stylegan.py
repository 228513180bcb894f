"""MobileStyleGAN: a distilled StyleGAN2 with separable convolutions that upsamples by wavelets.

Layers are numbered like StyleGAN2's; even layers upsample. There is no demodulation and no RGB sum
(R_i does not exist); the last layer makes 12 wavelet channels of the image, at half its size.
Architecture: Belousov, "MobileStyleGAN", arXiv:2104.04767.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invert.errors import ModelFileError
from invert.networks.coarse import band_kernel, coarse_kernel
from invert.networks.haar import HaarSynthesis
from invert.networks.network import (
    Affine,
    Layer,
    MappingNetwork,
    Style,
    SynthesisNetwork,
    is_vector,
)
from invert.networks.receptive_field import read_by_conv
from invert.networks.separable import SLOPE, Head, fits_strips, separable_layer
from invert.networks.stylegan2_tensors import mapping_depth, subset
from invert.networks.windows import Interval


def haar_blocks(channels: int) -> Tensor:
    """Indices that turn the file's order into blocks ll, lh, hl, hh.

    In the file the C lows come first, then lh, hl, hh of each channel in turn.
    """
    c = channels // 4
    return torch.cat([torch.arange(c), *(torch.arange(c + k, channels, 3) for k in range(3))])


class SeparableConv(nn.Module):
    """Modulate (on even layers upsample first), convolve, add noise and bias, leaky ReLU.

    The convolution is depthwise, then pointwise; that of layer 1 is an ordinary one.
    """

    def __init__(self, t: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.affine = Affine(t["affine.weight"], t["affine.bias"])

        # On even layers, with the factor ½ of the Haar transform that follows.
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

    def forward(
        self, x: Tensor, w: Style, noise: Tensor | None, head: Head | None = None
    ) -> Tensor:
        """F_{i+1} from F_i, of twice the size where the layer upsamples.

        With a head what it makes of F_{i+1}, for style vectors where layers run in strips.
        """
        upsamples = self.up_affine is not None
        if is_vector(w):
            return self.convolve(
                x, self.style(w), noise, self.depthwise, upsamples=upsamples, head=head
            )

        # Style maps of the bands and of what they make, which is upsampled in between.
        if self.up_affine is not None:
            x = HaarSynthesis.apply(x * self.up_affine(w, x.shape[2:]))
        return self.convolve(x, self.affine(w, x.shape[2:]), noise, self.depthwise)

    def style(self, w: Style, size: Sequence[int] = (1, 1)) -> Tensor:
        """A factor for each channel of F_i: [N, C, 1, 1] for vectors w, [N, C, *size] for maps.

        On a layer that upsamples, C are the bands, whose style includes that of what they make; of
        a map that is so up to its change within a cell.
        """
        style = self.affine(w, size)
        if self.up_affine is not None:
            style = self.up_affine(w, size) * style.repeat(1, 4, 1, 1)
        return style

    def convolve(
        self,
        x: Tensor,
        style: Tensor,
        noise: Tensor | None,
        depthwise: Tensor | None,
        *,
        upsamples: bool = False,
        head: Head | None = None,
    ) -> Tensor:
        """Modulate, upsample, convolve (depthwise then pointwise; on layer 1 at once), activate."""
        if depthwise is not None and style.shape[2:] == (1, 1) and fits_strips(x):
            noise = None if noise is None else noise * self.noise_strength
            return separable_layer(
                x, style, noise, depthwise, self.weight.flatten(1), self.bias, upsamples, head
            )

        x = x * style
        if upsamples:
            x = HaarSynthesis.apply(x)

        # The bias comes with the last convolution.
        if depthwise is None:
            return self.activate(F.conv2d(x, self.weight, self.bias, padding=1), noise)
        x = F.conv2d(x, depthwise, padding=1, groups=x.shape[1])
        return self.activate(F.conv2d(x, self.weight, self.bias), noise)

    def activate(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """Noise and leaky ReLU, in place: the backward passes of convolutions need neither sum."""
        if noise is not None:
            x = x.add_(noise * self.noise_strength)
        return F.leaky_relu_(x, SLOPE)

    def halved(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """About F_{i+1} averaged over 2×2 cells, of the size of F_i; the layer upsamples.

        Exact up to the leaky ReLU, which is that of the average.
        """
        assert self.depthwise is not None

        # All four bands are modulated and convolved where they are, and never synthesized. If there
        # is one style, the kernels take it.
        style, kernels = self.style(w, x.shape[2:]), band_kernel(self.depthwise)
        if style[:, 0].numel() == 1:
            kernels = kernels * style.reshape(-1, 1, 1, 1)
        else:
            x = x * style
        x = F.conv2d(x, kernels, padding=1, groups=x.shape[1])
        ll, lh, hl, hh = x.chunk(4, 1)

        x = F.conv2d(ll + lh + hl + hh, self.weight, self.bias)
        return self.activate(x, mean_noise(noise, x))

    def coarse(self, x: Tensor, w: Tensor, noise: Tensor | None, ratio: int) -> Tensor:
        """About F_{i+1} averaged over `ratio`² cells, from F_i averaged over areas as large."""
        assert self.depthwise is not None

        # Of the Haar bands the average sees the low one.
        low = len(self.depthwise)
        kernel = coarse_kernel(self.depthwise, ratio)
        style = self.style(w, x.shape[2:])[:, :low]
        return self.convolve(x[:, :low], style, mean_noise(noise, x), kernel)


def mean_noise(noise: Tensor | None, like: Tensor) -> Tensor | None:
    """A noise map averaged to the cells of `like`."""
    return None if noise is None else F.adaptive_avg_pool2d(noise, (like.shape[2], like.shape[3]))


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
        # Mapping network, mean w and learned constant.
        fc = [subset(tensors, f"mapping.fc{k}.") for k in range(mapping_depth(tensors))]
        self.mapping = MappingNetwork([(t["weight"], t["bias"]) for t in fc])
        self.register_buffer("w_avg", tensors.get("mapping.w_avg"))
        self.register_buffer("const", tensors["synthesis.const"])

        # Convolutions. F_i of even layers is kept in the blocks that the Haar transform reads.
        names = [
            k for k in tensors if k.startswith("synthesis.layer") and k.endswith("noise_const")
        ]
        parts = [subset(tensors, f"synthesis.layer{i}.") for i in range(1, len(names) + 1)]
        for before, part in pairwise(parts):
            if "up_affine.weight" in part:
                order = haar_blocks(part["up_affine.weight"].shape[0])
                before |= {name: before[name][order] for name in ("weight", "bias")}
                part |= {name: part[name][order] for name in ("up_affine.weight", "up_affine.bias")}
        self.convs = nn.ModuleList(SeparableConv(part) for part in parts)

        self._measure()

        # The head: 12 wavelet channels, with the factor ½ of the transform that makes the image.
        head = subset(tensors, "synthesis.head.")
        order = haar_blocks(head["weight"].shape[0])
        self.head_affine = Affine(head["affine.weight"], head["affine.bias"])
        self.register_buffer("head_weight", head["weight"][order] / 2)
        self.register_buffer("head_bias", head["bias"][order] / 2)
        self.head_weight: Tensor
        self.head_bias: Tensor

    def _measure(self) -> None:
        """Set the sizes of layers and images; raise RuntimeError where noise maps contradict."""
        layers: list[Layer] = []
        channels, height, width = self.const.shape[1:]
        nominal = 4

        for i, conv in enumerate(self.convs, start=1):
            assert isinstance(conv, SeparableConv)
            scale = 1 if conv.up_affine is None else 2
            output = (scale * height, scale * width)
            if tuple(conv.noise_const.shape[2:]) != output:
                found = list(conv.noise_const.shape[2:])
                raise RuntimeError(f"noise of layer {i}: expected {list(output)}, found {found}")
            layers.append(Layer(i, nominal, channels, (height, width), None, output))
            channels, nominal, (height, width) = conv.weight.shape[0], scale * nominal, output

        # The head is the last layer.
        layers.append(Layer(len(layers) + 1, nominal, channels, (height, width), None, None))
        self.layers = tuple(layers)
        self.image_size = (2 * height, 2 * width)

    def reads(self, index: int, cells: Interval) -> Interval:
        """3×3, on even layers and for the image after a Haar transform, which reads half."""
        if index < self.num_ws:
            conv = self.conv(index)
            assert isinstance(conv, SeparableConv)
            cells = read_by_conv(cells)
            if conv.up_affine is None:
                return cells
        return cells[0] // 2, -(-cells[1] // 2)

    @property
    def preview_stops(self) -> dict[int, int]:
        """Size → layer: at each resolution the run stops before the layer that would double it."""
        return {
            layer.size: layer.index for layer in self.layers[1:] if layer.noise_cells != layer.cells
        }

    def preview(
        self,
        x: Tensor,
        rgb: Tensor | None,
        styles: Sequence[Tensor],
        noise: Sequence[Tensor | None],
        size: int,
    ) -> Tensor:
        """About the downscaled image: the remaining layers, run on averages at the size of F_i.

        Exact at half of the full size, where no layer but the last one remains.
        """
        stop = self.preview_stops[size]
        for i in range(stop, self.num_ws):
            conv, k = self.conv(i), i - stop
            assert isinstance(conv, SeparableConv)
            if i == stop:
                x = conv.halved(x, styles[k], noise[k])
            else:
                ratio = self.layers[i].size // size
                x = conv.coarse(x, styles[k], noise[k], ratio)

        # The average of four cells is their low band.
        return self.bands(x, styles[-1], 3)

    def synthesize(
        self,
        x: Tensor,
        rgb: Tensor | None,
        styles: Sequence[Style],
        noise: Sequence[Tensor | None],
        first: int = 1,
    ) -> Tensor:
        """The image from layer `first` on; the head comes right after its layer in strips."""
        last = self.num_ws - 1  # before the head
        if first > last or not fits_strips(x) or not all(map(is_vector, styles[-2:])):
            return super().synthesize(x, rgb, styles, noise, first)

        x, _ = self.run(x, rgb, styles, noise, first, last)
        k = last - first
        head = Head(self.head_weights(styles[-1], len(self.head_weight)), self.head_bias)
        return HaarSynthesis.apply(self.conv(last)(x, styles[k], noise[k], head))

    def finish(self, x: Tensor, rgb: Tensor | None, style: Style) -> Tensor:
        """The image, from its wavelets."""
        return HaarSynthesis.apply(self.bands(x, style, len(self.head_weight)))

    def bands(self, x: Tensor, style: Style, count: int) -> Tensor:
        """The image's first wavelet channels, [N, count, H/2, W/2]."""
        bias = self.head_bias[:count]
        if not is_vector(style):
            x = x * self.head_affine(style, x.shape[2:])
            return F.conv2d(x, self.head_weight[:count], bias)

        rows = x.permute(0, 2, 3, 1).flatten(1, 2)
        bands = rows @ self.head_weights(style, count).mT + bias
        return bands.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)

    def head_weights(self, style: Style, count: int) -> Tensor:
        """The head's weights [N, count, C], modulated by the one style of all cells."""
        factors = self.head_affine(style, (1, 1)).flatten(1)
        return self.head_weight[:count].flatten(1) * factors[:, None]
