"""Smaller images of a latent, by the layers up to their size only."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from invert.errors import UsageError
from invert.latents.conversion import entry
from invert.latents.latent import Latent
from invert.networks.network import SynthesisNetwork


def preview_images(
    network: SynthesisNetwork, latent: Latent, noise: Sequence[Tensor], size: int
) -> Tensor:
    """Images [N, 3, h, w] in one pass; `noise` are the maps from the layer on that points enter.

    `size` is the longer side where images have the training size; that of a canvas is in
    proportion. Raises :class:`UsageError` for a size that the network or the space does not have.
    """
    stop = check_preview(network, latent, size)
    first, x, rgb, styles = entry(network, latent)
    x, rgb = network.run(x, rgb, styles, noise, first, stop)
    return network.preview(x, rgb, styles[stop - first :], noise[stop - first :], size)


def check_preview(network: SynthesisNetwork, latent: Latent, size: int) -> int:
    """The layer where the run to a preview stops, or an error that says which sizes there are."""
    stops, first = network.preview_stops, latent.space.layer or network.first
    possible = [str(size) for size, stop in stops.items() if stop >= first]
    if size not in stops or stops[size] < first:
        have = f"are {', '.join(possible)} px" if possible else "do not exist: it starts too late"
        whole = f"render it for {network.resolution} px"
        raise UsageError(f"previews of {latent.space} {have} here, got {size}; {whole}")
    return stops[size]
