"""The parts of a point window by window: F_i, R_i, the style and the noise of each layer."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from invert.arguments import check_seed
from invert.errors import UsageError
from invert.generator import Generator, NoiseMode
from invert.latent_maps.planes import plane_noise
from invert.latents.conversion import entry
from invert.latents.latent import Latent
from invert.networks.network import Size, Style
from invert.networks.windows import StyleWindow, Window
from invert.tiling.layer_windows import pixels_per_cell

MAX_TILED_PIXELS = 2**40  # of a picture in tiles


class Parts(Protocol):
    """One point, of which any window can be had."""

    @property
    def first(self) -> int:
        """The layer i that it starts from."""

    @property
    def size(self) -> Size | None:
        """(height, width) of its picture in pixels; None for a plane without edges."""

    def features(self, window: Window) -> Tensor:
        """F_i [1, C, h, w]."""

    def rgb(self, window: Window) -> Tensor | None:
        """R_i [1, 3, h, w], whose window is given in its own cells; None where there is none."""

    def style(self, layer: int, window: Window) -> Style:
        """The style of a layer: [1, w_dim], or a map for a window of its F."""

    def noise(self, layer: int, window: Window) -> Tensor | None:
        """The noise map [1, 1, h, w] for a window of a layer's output; None for no noise."""


class LatentParts:
    """The parts of one latent, cut out of its maps.

    `noise` is as in :meth:`Generator.render`, and used where the latent has no maps of its own:
    constant maps repeat, and random ones are drawn by place (`invert.latent_maps.places`), so that
    they need no memory. They are other ones than a rendering of the whole draws.
    """

    def __init__(
        self,
        generator: Generator,
        latent: Latent,
        noise: NoiseMode = "const",
        *,
        seed: int = 0,
    ) -> None:
        if len(latent) != 1:
            raise UsageError(f"expected one point, got a batch of {len(latent)}; index it first")
        self.network = generator.network
        self.size = generator.check(latent, max_pixels=MAX_TILED_PIXELS).image
        self.mode = check_noise(noise)
        self.seed = check_seed(seed)

        self.latent = latent = latent.to(generator.device, generator.dtype)
        self.first, self.start, self.start_rgb, self.styles = entry(self.network, latent)

    def features(self, window: Window) -> Tensor:
        """F_i, or the constant."""
        return window.cut(self.start)

    def rgb(self, window: Window) -> Tensor | None:
        """R_i, where there is one."""
        return None if self.start_rgb is None else window.cut(self.start_rgb)

    def style(self, layer: int, window: Window) -> Style:
        """The vector, or the part of the map at its layer's size."""
        style = self.styles[layer - self.first]
        if style.shape[2:].numel() == 1:  # a vector, or a map of one cell
            return style
        cell = pixels_per_cell(self.network, self.network.layers[layer - 1])
        return StyleWindow(style, (self.size[0] // cell, self.size[1] // cell), window)

    def noise(self, layer: int, window: Window) -> Tensor | None:
        """The latent's own map, the network's constant one repeated, or one drawn by place."""
        if self.latent.noise is not None:
            return window.cut(self.latent.noise[layer - self.first])
        if self.mode == "none":
            return None
        if self.mode == "random":
            values = plane_noise(self.seed, layer, window.rows, window.columns)
            return values.to(self.network.start())
        return repeated(self.network.noise_const(layer), window)


def check_noise(noise: NoiseMode) -> NoiseMode:
    """The noise mode, or a :class:`UsageError`."""
    if noise not in ("const", "none", "random"):
        raise UsageError(f"noise is 'const', 'none' or 'random', got {noise!r}")
    return noise


def repeated(x: Tensor, window: Window) -> Tensor:
    """The window of a map [N, C, H, W] that repeats without end."""
    rows = torch.arange(*window.rows, device=x.device) % x.shape[2]
    columns = torch.arange(*window.columns, device=x.device) % x.shape[3]
    return x[:, :, rows[:, None], columns]
