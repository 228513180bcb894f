"""Which cells of every layer a window of the picture depends on.

From the last layer back to the first, each layer tells what it reads for the cells that are needed
of its output (`SynthesisNetwork.reads`). So a tile has the margin that the network's receptive
field needs, no more: fine layers compute few cells beyond the tile.
"""

from __future__ import annotations

from invert.networks.network import Layer, SynthesisNetwork
from invert.networks.receptive_field import hull
from invert.networks.windows import Interval, Window


def layer_windows(
    network: SynthesisNetwork, first: int, image: Window, size: tuple[int, int] | None
) -> list[Window]:
    """The window of F_i that `image` depends on, for each layer i from `first` to the last.

    `size` is the picture's (height, width) in pixels: what lies beyond its edges is zero and is not
    in a window. Without it the plane has no edges. Where R_i has half the size of F_i, windows have
    even edges, and R_i's window is half of F_i's; else the two are the same.
    """
    height, width = size or (None, None)
    rows = layer_intervals(network, first, image.rows, height)
    columns = layer_intervals(network, first, image.columns, width)
    return [Window(r, c) for r, c in zip(rows, columns, strict=True)]


def layer_intervals(
    network: SynthesisNetwork, first: int, pixels: Interval, length: int | None
) -> list[Interval]:
    """:func:`layer_windows` along one axis."""
    intervals: list[Interval] = []
    needed, half_after = pixels, False

    for layer in reversed(network.layers[first - 1 :]):
        cells = network.reads(layer.index, needed)

        # R_i is upsampled to the output of this layer, and added to.
        if layer.rgb_is_half and not half_after:
            low, high = network.rgb_reads(needed)
            cells = hull(cells, (2 * low, 2 * high))
        if layer.rgb_is_half:
            cells = cells[0] // 2 * 2, -(-cells[1] // 2) * 2
        half_after = layer.rgb_is_half

        if length is not None:
            cells = max(cells[0], 0), min(cells[1], length // pixels_per_cell(network, layer))
        intervals.append(cells)
        needed = cells

    return intervals[::-1]


def pixels_per_cell(network: SynthesisNetwork, layer: Layer) -> int:
    """The side of a cell of F_i in the image."""
    return network.resolution // layer.size


def scale(network: SynthesisNetwork, index: int) -> int:
    """How many times larger the output of layer `index` is than its input: 1 or 2."""
    here = pixels_per_cell(network, network.layers[index - 1])
    last = index == network.num_ws
    return here if last else here // pixels_per_cell(network, network.layers[index])
