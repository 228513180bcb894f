"""Points whose F_i is drawn from the distribution of a generator of FNZ_i."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from invert.errors import UsageError
from invert.latent_maps.planes import plane_features, plane_noise
from invert.latents.conversion import layer_styles
from invert.latents.latent import Latent
from invert.latents.shapes import shapes
from invert.latents.spaces import Space
from invert.networks.network import Size, SynthesisNetwork


def with_sampled_map(
    network: SynthesisNetwork,
    latent: Latent,
    seeds: Sequence[int],
    target: Space,
    features: Size | None,
) -> Latent:
    """Points of Z or W, one per seed, with an F_i drawn for each, on the way to `target`.

    i is the network's first layer. F_i and the noise maps, where `target` has some, are the top
    left of the plane of the seed (`invert.latent_maps.planes`); R_i is 0. `features` are cells of
    the target's F. Raises :class:`UsageError` for features that no whole cells of F_i make.
    """
    # F_i of the network's first layer, and its noise maps.
    assert network.latent_map is not None
    space = Space("Z" if target.base == "Z" else "W+", network.first, noise=target.noise)
    sizes = shapes(network, space, start_size(network, target, features))
    height, width = sizes.features
    maps = [plane_features(seed, network.latent_map, (0, height), (0, width)) for seed in seeds]
    x = torch.cat(maps).to(network.start())

    noise = tuple(
        torch.cat([plane_noise(seed, network.first + k, (0, h), (0, w)) for seed in seeds]).to(x)
        for k, (h, w) in enumerate(sizes.noise)
    )

    # z stays one vector; w is repeated for the layers that exist.
    styles = latent.style_tensor()
    if target.base != "Z":
        styles = torch.stack(layer_styles(network, latent)[network.first - 1 :], 1)
    return latent.replace(
        space=space,
        styles=styles,
        features=x,
        rgb=network.start_rgb(x),
        noise=noise if target.noise else None,
    )


def start_size(network: SynthesisNetwork, target: Space, features: Size | None) -> Size | None:
    """The size of the network's first F in cells, for `features` cells of the target's F."""
    if features is None:
        return None
    first, later = (network.layers[i - 1].cells for i in (network.first, target.first))
    times = later[0] // first[0]
    if any(side < times or side % times for side in features):
        raise UsageError(
            f"F_{target.layer} is made of F_{network.first}, a cell of which is {times}×{times} of "
            f"its cells; expected multiples of {times}, got {features[1]}×{features[0]}"
        )
    return features[0] // times, features[1] // times
