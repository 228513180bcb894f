"""The plane of a seed: F_i and the noise of every layer, of which any window can be had by itself.

Field 0 of the seed's noise (`invert.latent_maps.places`) is filtered into F_i, and field j is the
noise map of layer j. So a larger map contains the smaller one.
"""

from __future__ import annotations

from torch import Tensor

from invert.latent_maps.filtered_noise import LatentMap
from invert.latent_maps.places import Interval, PlacedNoise


def plane_features(seed: int, latent_map: LatentMap, rows: Interval, columns: Interval) -> Tensor:
    """F_i [1, C, h, w] in a window of its cells, float32 on the CPU.

    It is the filter of the distribution on the noise of the window and a margin around it.
    """
    margin = latent_map.margin
    (top, bottom), (left, right) = rows, columns
    noise = PlacedNoise(seed).window(
        latent_map.noise_channels,
        (top - margin, bottom + margin),
        (left - margin, right + margin),
    )
    return latent_map.filter(noise[None])


def plane_noise(seed: int, layer: int, rows: Interval, columns: Interval) -> Tensor:
    """The noise map [1, 1, h, w] of a layer in a window of its cells, float32 on the CPU."""
    return PlacedNoise(seed, field=layer).window(1, rows, columns)[None]
