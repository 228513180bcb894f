"""Ranges of layers, by name or by number, and the layers that F_i and R_i hold.

A range is half-open and counts style indices from 0, as `ws[:, start:stop]` does.
"""

from __future__ import annotations

from invert.errors import UsageError, did_you_mean
from invert.generator import Generator
from invert.latents.spaces import Space

LayerRange = tuple[int, int]
# largest input side of a layer in cells, as StyleGAN divides them; fine is the rest
COARSE, MIDDLE = 8, 32

NICKNAMES = {
    "early": "coarse",
    "low": "coarse",
    "mid": "middle",
    "medium": "middle",
    "late": "fine",
    "high": "fine",
}


def named_ranges(generator: Generator) -> dict[str, LayerRange]:
    """Ranges "coarse" (inputs of 4–8 cells), "middle" (16–32), "fine" (64 and more) and "all".

    Style w_j counts by the side of F_j, which is also what the torgb that shares it reads; where
    images are no squares, by that of a square generator of as many layers. With 1024 px: 0–4, 4–8,
    8–18. A small generator's last ranges may be empty.
    """
    sides = [layer.nominal for layer in generator.network.layers]
    coarse = sum(side <= COARSE for side in sides)
    middle = sum(side <= MIDDLE for side in sides)
    end = generator.num_ws
    return {
        "coarse": (0, coarse),
        "middle": (coarse, middle),
        "fine": (middle, end),
        "all": (0, end),
    }


def layer_range(generator: Generator, layers: str | LayerRange) -> LayerRange:
    """The range of a name or of (start, stop). Raises :class:`UsageError` for an unknown, empty or
    too large one.
    """
    named = named_ranges(generator)
    if isinstance(layers, str):
        if layers not in named:
            near = did_you_mean(layers, named, NICKNAMES)
            raise UsageError(
                f"unknown layers {layers!r}; known: {', '.join(named)}, or a range like 0-4{near}"
            )
        start, stop = named[layers]
        if start == stop:
            raise UsageError(
                f"this generator of {generator.num_ws} layers has no {layers} ones; use a range"
            )
        return start, stop
    start, stop = layers
    if not 0 <= start < stop <= generator.num_ws:
        raise UsageError(
            f"layers are a range inside 0 to {generator.num_ws}, got {start} to {stop}"
        )
    return start, stop


def styles_inside(generator: Generator, space: Space) -> int:
    """How many of the first styles F_i and R_i were made of; 0 without features.

    That is i − 1, and i where R_i has F_i's size: there it holds the torgb that shares w_i.
    """
    if space.layer is None:
        return 0
    layer = generator.layer(space.layer)
    return space.layer - 1 + (layer.rgb_cells == layer.cells)
