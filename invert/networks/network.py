"""What all generator networks here share: layers counted from 1, and a run between any two.

A network is tensors only: no files, no seeds, no spaces. :class:`invert.Generator` puts those on
top.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invert.latent_maps.filtered_noise import LatentMap
from invert.networks.windows import Interval, StyleWindow

Size = tuple[int, int]  # height and width
Style = Tensor | StyleWindow  # [N, w_dim], a map [N, w_dim, h, w], or a window of one


@dataclass(frozen=True)
class Layer:
    """The sizes of one layer at the training resolution; layer i has the style vector w_i.

    Sizes are (height, width) in cells. `nominal` is the side of F_i, 4, 8, …, in a square network
    of as many layers: it says whether a layer is coarse, middle or fine. The last layer (torgb, or
    a wavelet head) has no noise map. Neither has one that does not exist (`SynthesisNetwork.first`)
    and is listed so that an index means the same layer in every network.
    """

    index: int
    nominal: int
    channels: int  # of F_i, the features that enter the layer
    cells: Size  # of F_i
    rgb_cells: Size | None  # of R_i; None where no RGB sum exists yet, or ever
    noise_cells: Size | None  # of the noise map, which is the layer's output size

    @property
    def size(self) -> int:
        """The longer side of F_i in cells."""
        return max(self.cells)

    @property
    def rgb_size(self) -> int | None:
        """The longer side of R_i."""
        return None if self.rgb_cells is None else max(self.rgb_cells)

    @property
    def noise_size(self) -> int | None:
        """The longer side of the noise map."""
        return None if self.noise_cells is None else max(self.noise_cells)

    @property
    def rgb_is_half(self) -> bool:
        """Whether a cell of R_i is as large as two by two of F_i."""
        return self.rgb_cells is not None and self.rgb_cells != self.cells


class MappingNetwork(nn.Module):
    """w [N, w_dim] from z [N, z_dim] and, for conditional models, labels c [N, c_dim].

    Holds folded weights: every run-time gain and learning-rate multiplier is already in them.
    """

    def __init__(
        self,
        layers: Sequence[tuple[Tensor, Tensor]],
        embed: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.num_layers = len(layers)
        for k, (weight, bias) in enumerate(layers):
            self.register_buffer(f"weight{k}", weight)
            self.register_buffer(f"bias{k}", bias)
        self.register_buffer("embed_weight", embed[0] if embed else None)
        self.register_buffer("embed_bias", embed[1] if embed else None)
        self.c_dim = embed[0].shape[1] if embed else 0
        self.z_dim = layers[0][0].shape[1] - (embed[0].shape[0] if embed else 0)
        self.w_dim = layers[-1][0].shape[0]

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """w [N, w_dim]; labels c are one-hot rows."""
        x = normalize_2nd_moment(z.to(self.get_buffer("weight0").dtype))

        # The embedded label stands beside z.
        if self.c_dim:
            assert c is not None, "a conditional mapping network needs labels"
            weight, bias = self.get_buffer("embed_weight"), self.get_buffer("embed_bias")
            y = F.linear(c.to(x.dtype), weight, bias)
            x = torch.cat([x, normalize_2nd_moment(y)], dim=1)

        # Fully connected layers with leaky ReLU, whose gain is √2.
        for k in range(self.num_layers):
            x = F.linear(x, self.get_buffer(f"weight{k}"), self.get_buffer(f"bias{k}"))
            x = F.leaky_relu(x, 0.2) * 2**0.5
        return x


class Affine(nn.Module):
    """The modulation of one layer: a style per input channel, from a vector or a map of w."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)  # [C, w_dim]
        self.register_buffer("bias", bias)  # [C]
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, w: Style, size: Sequence[int]) -> Tensor:
        """[N, C, 1, 1] from w [N, w_dim]; [N, C, *size] from a style map [N, w_dim, h, w]."""
        if isinstance(w, StyleWindow):
            style = F.conv2d(w.styles, self.weight[:, :, None, None], self.bias)
            return w.resized(style, (size[0], size[1]))

        # A 1×1 map is the vector it stands for, so that conversions keep every bit of the image.
        if is_vector(w):
            return F.linear(w.flatten(1), self.weight, self.bias)[:, :, None, None]

        # A map is resized after the affine: the two commute, and C is never more than w_dim.
        style = F.conv2d(w, self.weight[:, :, None, None], self.bias)
        if tuple(style.shape[2:]) == tuple(size):
            return style
        return F.interpolate(style, size=tuple(size), mode="bilinear", align_corners=False)


class SynthesisNetwork(nn.Module, ABC):
    """An image from features, an RGB sum, styles and noise, entered and left at any layer.

    `styles[k]` and `noise[k]` belong to layer `first + k`. A style is [N, w_dim] or a map
    [N, w_dim, h, w]; a noise map is [N or 1, 1, H, W], or None for no noise. Nothing here assumes
    square maps or the training size.

    Most networks begin at layer 1, with a learned constant. A generator of FNZ_i ([S] chapter 8)
    begins at layer `first` = i with an F_i that is sampled: the layers before it do not exist, and
    their styles have no effect. Its R_i is 0, and its `const` is one draw, which stands for F_i
    where a point has none.
    """

    architecture: str
    first: int = 1  # the layer whose input is `const`
    latent_map: LatentMap | None = None  # the distribution of F_first, where it is sampled
    image_size: Size  # of the training images in pixels
    layers: tuple[Layer, ...]
    mapping: MappingNetwork
    convs: nn.ModuleList  # of layers with a buffer `noise_const`, called with (x, style, noise)
    const: Tensor  # F_first [1, C, h, w]; F_1 is 4×4 where images are square
    w_avg: Tensor | None

    @property
    def resolution(self) -> int:
        """The longer side of the training images in pixels."""
        return max(self.image_size)

    @property
    def nominal_resolution(self) -> int:
        """The side of the images of a square network of as many layers, in pixels."""
        first = self.layers[self.first - 1]
        return first.nominal * self.resolution // first.size

    @property
    def num_ws(self) -> int:
        """Number of style vectors, which is that of layers: the convolutions and the last one."""
        return len(self.layers)

    def start(self) -> Tensor:
        """F_first [1, C, h, w]: the learned constant, or the stored draw of the latent map."""
        return self.const

    def start_rgb(self, x: Tensor) -> Tensor | None:
        """R_first [N, 3, h, w] for F_first of any size: 0; None at layer 1, which has none."""
        layer = self.layers[self.first - 1]
        if layer.rgb_cells is None:
            return None
        height, width = (side // 2 if layer.rgb_is_half else side for side in x.shape[2:])
        return x.new_zeros(len(x), 3, height, width)

    def sampled_start(self, count: int, random: torch.Generator) -> Tensor:
        """F_first [count, C, h, w]: draws of the latent map, or the constant, which draws nothing.

        Draws are made on the device of `random`.
        """
        if self.latent_map is None:
            return self.const.expand(count, -1, -1, -1)
        cells = self.layers[self.first - 1].cells
        return self.latent_map.sample(count, cells, random).to(self.const)

    def conv(self, index: int) -> nn.Module:
        """The convolution of layer `index`."""
        return self.convs[index - self.first]

    def noise_const(self, index: int) -> Tensor:
        """The noise map [1, 1, H, W] that layer `index` was saved with."""
        return self.conv(index).noise_const  # type: ignore[return-value]

    def run(
        self,
        x: Tensor,
        rgb: Tensor | None,
        styles: Sequence[Style],
        noise: Sequence[Tensor | None],
        first: int,
        stop: int,
    ) -> tuple[Tensor, Tensor | None]:
        """(F_stop, R_stop) from (F_first, R_first), by layers first … stop − 1, which all exist.

        Needs the styles up to w_stop, since the torgb after a layer has the next layer's.
        """
        x = x.contiguous(memory_format=torch.channels_last)
        for i in range(first, stop):
            x = self.conv(i)(x, styles[i - first], noise[i - first])
            rgb = self.rgb_after(i, x, rgb, styles[i + 1 - first])
        return x, rgb

    def rgb_after(self, index: int, x: Tensor, rgb: Tensor | None, style: Style) -> Tensor | None:
        """The RGB sum after layer `index` has made `x`, or None; `style` is the next layer's."""
        return rgb

    @property
    def preview_stops(self) -> dict[int, int]:
        """Sizes of smaller pictures that the network can make, ascending: size → layer to stop at.

        A size is the longer side in pixels where images have the training size. With an RGB sum
        these are its resolutions, and a run stops before the first layer that receives the sum;
        the sum with which a network begins is 0 and no picture.
        """
        stops: dict[int, int] = {}
        for layer in self.layers:
            if layer.rgb_size is not None and layer.index > self.first:
                stops.setdefault(layer.rgb_size, layer.index)
        return stops

    def preview(
        self,
        x: Tensor,
        rgb: Tensor | None,
        styles: Sequence[Tensor],
        noise: Sequence[Tensor | None],
        size: int,
    ) -> Tensor:
        """The smaller picture [N, 3, h, w] from F_i and R_i, with i = `preview_stops[size]`.

        `styles` and `noise` are those from layer i on.
        """
        assert rgb is not None, "a network without RGB sums has a preview of its own"
        return rgb

    @abstractmethod
    def reads(self, index: int, cells: Interval) -> Interval:
        """The cells of F_index that layer `index` reads, along an axis, for `cells` of its output.

        The output of the last layer is the image.
        """

    def rgb_reads(self, cells: Interval) -> Interval:
        """The cells of an RGB sum that are read for `cells` of it at twice the size."""
        raise NotImplementedError(f"{self.architecture} has no RGB sum")

    @abstractmethod
    def finish(self, x: Tensor, rgb: Tensor | None, style: Style) -> Tensor:
        """The image [N, 3, H, W], about [−1, 1], from the last layer's input."""

    def synthesize(
        self,
        x: Tensor,
        rgb: Tensor | None,
        styles: Sequence[Style],
        noise: Sequence[Tensor | None],
        first: int = 1,
    ) -> Tensor:
        """The image from layer `first` on."""
        x, rgb = self.run(x, rgb, styles, noise, first, self.num_ws)
        return self.finish(x, rgb, styles[-1])


def is_vector(w: Style) -> bool:
    """Whether a style is the same in all cells: [N, w_dim], or a 1×1 map."""
    return isinstance(w, Tensor) and (w.ndim == 2 or tuple(w.shape[2:]) == (1, 1))


def normalize_2nd_moment(x: Tensor) -> Tensor:
    """x [N, D] scaled to unit mean square per row."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
