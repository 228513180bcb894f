"""Ranges of styles, by name or by number, and the styles that F_i and R_i were made of.

A range is half-open and counts styles from 0, as `ws[:, start:stop]` does; on the command line and
in messages both ends are included.
"""

from __future__ import annotations

from typing import Any

from invert.arguments import check_integers
from invert.errors import UsageError, did_you_mean
from invert.latents.shapes import check_layer
from invert.latents.spaces import Space
from invert.networks.network import SynthesisNetwork

StyleRange = tuple[int, int]
# The largest input side of a layer in cells, as StyleGAN divides them; fine is the rest.
COARSE, MIDDLE = 8, 32

NICKNAMES = {
    "early": "coarse",
    "low": "coarse",
    "mid": "middle",
    "medium": "middle",
    "late": "fine",
    "high": "fine",
}


def named_ranges(network: SynthesisNetwork) -> dict[str, StyleRange]:
    """Ranges "coarse" (inputs of 4–8 cells), "middle" (16–32), "fine" (64 and more) and "all".

    Style w_j counts by the side of F_j, which is also what the torgb that shares it reads; where
    images are no squares, by that of a square generator of as many layers. With 1024 px: (0, 4),
    (4, 8) and (8, 18). A small generator's last ranges may be empty.
    """
    sides = [layer.nominal for layer in network.layers]
    coarse = sum(side <= COARSE for side in sides)
    middle = sum(side <= MIDDLE for side in sides)
    end = network.num_ws
    return {
        "coarse": (0, coarse),
        "middle": (coarse, middle),
        "fine": (middle, end),
        "all": (0, end),
    }


def style_range(network: SynthesisNetwork, styles: str | StyleRange) -> StyleRange:
    """The range (start, stop) that a name or a pair stands for.

    Raises :class:`UsageError` for an unknown name, for what is no pair of integers, and for an
    empty range or one that is too large.
    """
    named = named_ranges(network)

    # A name, whose range may be empty in a small generator.
    if isinstance(styles, str):
        if styles not in named:
            near = did_you_mean(styles, named, NICKNAMES)
            raise UsageError(
                f"unknown styles {styles!r}; known: {', '.join(named)}, or a range like 0-3{near}"
            )
        start, stop = named[styles]
        if start == stop:
            raise UsageError(
                f"this generator of {network.num_ws} styles has no {styles} ones; use a range"
            )
        return start, stop

    start, stop = check_range(styles)
    if not 0 <= start < stop <= network.num_ws:
        raise UsageError(
            f"styles are a range inside 0 to {network.num_ws - 1}, both included; "
            f"got {start} to {stop - 1}"
        )
    return start, stop


def check_range(styles: Any) -> StyleRange:
    """The pair (first, stop) as two ints. Raises :class:`UsageError` for anything else."""
    first, stop = check_integers("styles", styles, "first, stop")
    return first, stop


def check_layers_exist(network: SynthesisNetwork, start: int, stop: int) -> None:
    """Raise :class:`UsageError` where the network has no layer of the styles start … stop − 1."""
    if stop < network.first:
        raise UsageError(
            f"styles {start} to {stop - 1} have no effect: this generator starts at layer "
            f"{network.first}, that of style {network.first - 1}"
        )


def styles_inside(network: SynthesisNetwork, space: Space) -> int:
    """How many of the first styles F_i and R_i were made of; 0 without features, or sampled ones.

    That is i − 1, and i where R_i has F_i's size: there it holds the torgb that shares w_i.
    """
    if space.layer is None:
        return 0
    check_layer(network, space)
    if space.layer == network.first:
        return 0
    layer = network.layers[space.layer - 1]
    return space.layer - 1 + (layer.rgb_cells == layer.cells)
