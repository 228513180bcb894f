"""Conversion to another space without a change of the image ([S] chapter 3).

One style is repeated for every layer, vectors become maps of one cell, and early layers are run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from invert.latents.companion import Companion
from invert.latents.latent import Latent, Styles
from invert.latents.shapes import Shapes
from invert.latents.spaces import Space
from invert.networks.network import SynthesisNetwork


def convert_latent(
    network: SynthesisNetwork, latent: Latent, target: Space, sizes: Shapes
) -> Latent:
    """`latent` as a point of `target`; the caller has checked that this is possible.

    `sizes` are the map sizes of `latent`.
    """
    source = latent.space
    styles = layer_styles(network, latent)
    entered = entry(network, latent)
    noise: Sequence[Tensor] = latent.noise or constant_noise(network, source, sizes, len(latent))

    # F_i and R_i: run the layers before i, from the constant or from earlier features.
    x, rgb = latent.features, latent.rgb
    if target.layer:
        x, rgb = network.run(
            entered.features, entered.rgb, entered.styles, noise, entered.layer, target.layer
        )

    # The styles of the layers that are left, in the form of the target space.
    skipped = target.first - source.first
    entering = target.layer or network.first
    new_styles: Styles
    if target.base == "Z":
        new_styles = latent.styles
    elif target.base == "W":
        new_styles = styles[0]
    elif target.spatial:
        new_styles = tuple(s if s.ndim == 4 else s[:, :, None, None] for s in styles[skipped:])
    else:
        new_styles = torch.stack(styles[skipped:], 1)

    return Latent(
        target,
        new_styles,
        latent.fingerprint,
        features=x,
        rgb=rgb,
        noise=tuple(noise[entering - entered.layer :]) if target.noise else None,
        label=latent.label if target.base == "Z" else None,
        companion=companion_of(latent, styles, target),
        metadata=latent.metadata,
    )


def companion_of(latent: Latent, styles: Sequence[Tensor], target: Space) -> Companion | None:
    """The companion of a latent that becomes a point of `target`; None outside the F… spaces.

    A point without features has all styles that make them: these are the companion, unless they
    are maps. At a later layer a companion is still one, but its origin was at the old one, and
    windows count cells of the old F_i.
    """
    if target.layer is None:
        return None
    if latent.space.layer is None:
        if any(s.ndim == 4 and s.shape[2:] != (1, 1) for s in styles):
            return None
        return Companion(torch.stack([s.flatten(1) for s in styles], 1))
    companion = latent.companion
    if companion is None or target.layer == latent.space.layer:
        return companion
    return None if companion.windows is not None else companion.replace(origin=None)


def layer_styles(network: SynthesisNetwork, latent: Latent) -> list[Tensor]:
    """The style, vector or map, of every layer from `space.first` on, whatever the space."""
    if latent.space.base == "W+":
        return latent.style_list()
    w = latent.style_tensor()
    if latent.space.base == "Z":
        w = network.mapping(w, latent.label)
    return [w] * (network.num_ws - latent.space.first + 1)


class Entry(NamedTuple):
    """Where the network begins for a point: layer i, F_i, R_i, and the styles from i on."""

    layer: int
    features: Tensor
    rgb: Tensor | None
    styles: list[Tensor]


def entry(network: SynthesisNetwork, latent: Latent) -> Entry:
    """The point's own F_i and R_i, or those with which the network starts."""
    styles = layer_styles(network, latent)
    if latent.features is not None:
        return Entry(latent.space.first, latent.features, latent.rgb, styles)
    x = network.start().expand(len(latent), -1, -1, -1)
    return Entry(network.first, x, network.start_rgb(x), styles[network.first - 1 :])


def constant_noise(
    network: SynthesisNetwork, space: Space, sizes: Shapes, batch: int
) -> list[Tensor]:
    """Noise maps [batch, 1, H, W] saved with the weights, from the layer on that a point enters.

    On a canvas larger than the training size they repeat.
    """
    maps = []
    first = space.layer or network.first
    for k, (h, w) in enumerate(sizes.noise):
        n = network.noise_const(first + k)
        n = n.repeat(1, 1, -(-h // n.shape[2]), -(-w // n.shape[3]))[:, :, :h, :w]
        maps.append(n.expand(batch, -1, -1, -1))
    return maps
