"""The plane of a seed: a point without edges, of a generator whose latent is a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from invert.arguments import check_seed
from invert.errors import UsageError
from invert.generator import Generator, NoiseMode
from invert.latent_maps.filtered_noise import LatentMap
from invert.latent_maps.planes import plane_features, plane_noise
from invert.networks.network import Style, SynthesisNetwork
from invert.networks.windows import Window
from invert.tiling.parts import check_noise, repeated
from invert.tiling.placed_styles import PlacedStyles, style_cells


class PlacedParts:
    """Every window of the plane of a seed: F_i and the noise maps by place, R_i = 0.

    first       the layer i that the plane starts from
    latent_map  the distribution of F_i
    styles      one vector [1, w_dim] per layer from i on, or styles by place
    noise       "random" by place; "const" repeats the maps saved with the weights

    A picture is a window of the plane and has no edge of its own: what lies beyond goes on. So a
    larger picture contains the smaller one.
    """

    size = None

    def __init__(
        self,
        network: SynthesisNetwork,
        first: int,
        latent_map: LatentMap,
        styles: Sequence[Tensor] | PlacedStyles,
        seed: int,
        noise: NoiseMode = "random",
    ) -> None:
        count = network.num_ws - first + 1
        if not isinstance(styles, PlacedStyles) and len(styles) != count:
            raise UsageError(f"expected {count} styles from layer {first} on, got {len(styles)}")
        self.network = network
        self.first = first
        self.latent_map = latent_map
        self.styles = styles
        self.seed = check_seed(seed)
        self.mode = check_noise(noise)

    def features(self, window: Window) -> Tensor:
        """F_i: the filter of its distribution on the noise of the window and its margin."""
        values = plane_features(self.seed, self.latent_map, window.rows, window.columns)
        return values.to(self.network.start())

    def rgb(self, window: Window) -> Tensor | None:
        """R_i, which is 0."""
        if self.network.layers[self.first - 1].rgb_cells is None:
            return None
        return torch.zeros(1, 3, *window.size).to(self.network.start())

    def style(self, layer: int, window: Window) -> Style:
        """The vector of the layer, the same everywhere, or the window of its style map."""
        if isinstance(self.styles, PlacedStyles):
            return self.styles.window(layer, window)
        return self.styles[layer - self.first]

    def noise(self, layer: int, window: Window) -> Tensor | None:
        """The noise map of the layer's field, or the constant one; None for no noise."""
        if self.mode == "none":
            return None
        if self.mode == "const":
            return repeated(self.network.noise_const(layer), window)
        return plane_noise(self.seed, layer, window.rows, window.columns).to(self.network.start())


def plane_of_seed(
    generator: Generator,
    seed: int,
    *,
    space: Literal["Z", "W"] = "W",
    psi: float = 1.0,
    label: int | None = None,
    noise: NoiseMode = "random",
    style_every: int | None = None,
) -> PlacedParts:
    """The plane without end of a seed, with the w of `Generator.sample` everywhere.

    With `style_every`, w changes over the plane: every square of so many pixels has its own.

    Where it is far from their edges, a picture of it is what samples of FNW_i of the seed show.
    Raises :class:`UsageError` for a generator whose latent is no map, and what sample does.
    """
    network = generator.network
    if network.latent_map is None:
        height, width = generator.image_size
        raise UsageError(
            "pictures of any size need a generator whose latent is a map; "
            f"{generator.name or 'this one'} starts from a learned constant and makes pictures of "
            f"{width}×{height} px, so leave the size out, or put several on a canvas"
        )

    # Styles by place, or one w everywhere.
    if style_every is not None:
        return PlacedParts(
            network,
            network.first,
            network.latent_map,
            PlacedStyles(generator, seed, style_cells(generator, style_every), psi),
            seed,
            noise,
        )
    w = generator.convert(generator.sample(seed, psi=psi, label=label, space=space), "W")
    styles = [w.style_tensor()] * (network.num_ws - network.first + 1)
    return PlacedParts(network, network.first, network.latent_map, styles, seed, noise)
