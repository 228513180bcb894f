"""A picture in tiles: each is rendered alone, and is what it would be in the whole."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from invert.arguments import check_integer
from invert.errors import UsageError
from invert.hardware.precision import full_precision
from invert.networks.network import Size, SynthesisNetwork
from invert.networks.windows import Window
from invert.tiling.layer_windows import layer_windows, scale
from invert.tiling.parts import Parts

TILE = 512  # pixels a side
MAX_TILE = 4096


def render_window(network: SynthesisNetwork, parts: Parts, image: Window) -> Tensor:
    """The pixels `image` [1, 3, h, w] of the picture of a point, about [−1, 1].

    Each layer runs on the window that is needed of it and cuts away what the window's own edges
    have spoilt; at the edges of the picture a window ends, and its zeros are the picture's. No
    gradients flow.
    """
    windows = layer_windows(network, parts.first, image, parts.size)
    window = windows[0]

    with torch.inference_mode(), full_precision():
        x = parts.features(window)
        half = network.layers[parts.first - 1].rgb_is_half
        rgb = parts.rgb(rgb_window(window, half))

        # Layers i … L: the torgb after layer i has the next layer's style, on the output of i.
        for i, needed in zip(range(parts.first, network.num_ws), windows[1:], strict=True):
            output = window.scaled(scale(network, i))
            styles = [parts.style(i, window), parts.style(i + 1, output)]
            x, rgb = network.run(x, rgb, styles, [parts.noise(i, output)], i, i + 1)

            # Cut F and the RGB sum, which an up-convolution and the last one leave as it was.
            x = needed.cut(x, output)
            if rgb is not None:
                half_after = network.layers[i].rgb_is_half
                covered = rgb_window(window, half) if half_after else output
                rgb = rgb_window(needed, half_after).cut(rgb, covered)
                half = half_after
            window = needed

        # The last layer makes the image.
        y = network.finish(x, rgb, parts.style(network.num_ws, window))
        output = window.scaled(scale(network, network.num_ws))
        return image.cut(y, output).clone()


def rgb_window(window: Window, half: bool) -> Window:
    """The window of R_i for one of F_i; `half` says whether R_i has half the size."""
    return window.halved() if half else window


def render_rows(
    network: SynthesisNetwork, parts: Parts, size: Size, tile: int = TILE
) -> Iterator[Tensor]:
    """The picture from top to bottom in strips [1, 3, h, W] of `tile` rows, the last one lower.

    `size` is (height, width) in pixels. Memory grows with the width alone.
    """
    check_integer("tile", tile, 16, MAX_TILE)
    height, width = size
    if min(size) < 1:
        raise UsageError(f"a picture has at least 1×1 px, got {width}×{height}")

    for top in range(0, height, tile):
        rows = top, min(top + tile, height)
        strip = torch.empty(1, 3, rows[1] - top, width, dtype=network.start().dtype)
        for left in range(0, width, tile):
            columns = left, min(left + tile, width)
            strip[:, :, :, slice(*columns)] = render_window(network, parts, Window(rows, columns))
        yield strip
