"""F_i and R_i that styles make: the layers before i, run on them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from invert.networks.network import SynthesisNetwork


def early_maps(
    network: SynthesisNetwork,
    styles: Sequence[Tensor],
    layer: int,
    noise: Sequence[Tensor | None] | None = None,
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """(F_i, R_i) of the layers before i = `layer`; R_i is None where the network has none.

    styles  [N, w_dim] or maps, one per layer; the last one stands for all that are missing
    noise   maps of those layers, from the network's first on; by default those saved with the
            weights
    start   [N, C, h, w], the input of the first layer; by default `network.start()`
    """
    first = network.first
    if noise is None:
        noise = [network.noise_const(j) for j in range(first, layer)]
    rows = [*styles, *[styles[-1]] * (layer - len(styles))]

    if start is None:
        start = network.start().expand(len(rows[0]), -1, -1, -1)
    return network.run(start, network.start_rgb(start), rows[first - 1 :], noise, first, layer)
