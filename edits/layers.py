"""Which styles F_i and R_i already hold."""

from __future__ import annotations

from invert.generator import Generator
from invert.spaces import Space


def styles_inside(generator: Generator, space: Space) -> int:
    """How many of the first styles F_i and R_i were made of; 0 without features.

    That is i − 1, and i where R_i has F_i's size: there it holds the torgb that shares w_i.
    """
    if space.layer is None:
        return 0
    layer = generator.layer(space.layer)
    return space.layer - 1 + (layer.rgb_size == layer.size)
