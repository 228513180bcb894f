"""The latent spaces: Z, W, W+, SW+, FW_i, FSW_i, FZ_i, with or without noise ([S] table 3.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from invert.arguments import check_kinds
from invert.errors import SpaceError, did_you_mean

# The tensors of a point, and those of its companion, by their names in files.
POINT_PARTS = ("styles", "features", "rgb", "noise", "label")
COMPANION_PARTS = ("companion", "places", "origin")
PARTS = POINT_PARTS + COMPANION_PARTS
BASES = ("Z", "W", "W+")
NAMES = "Z, W, W+, NW+, SW+, NSW+, FW5, FNW5, FSW5, FNSW5, FNZ3 (any layer index)"
NICKNAMES = {"wplus": "W+", "w-plus": "W+", "wp": "W+", "w-p": "W+", "noise": "NW+"}
LONGEST = 40  # characters of a name

PATTERN = re.compile(
    r"(?P<f>F?)(?P<n>N?)(?P<s>S?)(?P<base>[ZW])"  # parts
    r"(?P<plus>\+?)(?P<layer>[0-9]{0,6})(?P<tail>\+?)"
)


@dataclass(frozen=True)
class Space:
    """A latent space, by its parts.

    base     what the styles come from: one z, one w for all layers, or one w per layer (W+)
    layer    i of F_i: the point starts at this layer from a feature and an RGB map; None starts at
             the constant
    noise    noise maps are part of the point
    spatial  styles are maps [N, w_dim, h, w], not vectors
    """

    base: Literal["Z", "W", "W+"]
    layer: int | None = None
    noise: bool = False
    spatial: bool = False

    def __post_init__(self) -> None:
        if self.base not in BASES:
            raise SpaceError(
                f"base is {', '.join(BASES)}, got {self.base!r}; "
                f"Space.parse({self.base!r}) reads the name of a space"
            )
        check_kinds(self)
        if self.layer is not None and self.layer < 1:
            raise SpaceError(f"layers are counted from 1, got F_{self.layer}")
        if self.spatial and self.base != "W+":
            raise SpaceError(f"style maps are one per layer (SW+); {self.base} has none")
        if self.layer is not None and self.base == "W":
            raise SpaceError(
                "spaces with features have one style per layer: FW_i means W+ from layer i on"
            )

    @classmethod
    def parse(cls, name: str | Space) -> Space:
        """The space a user typed: 'FNW5', 'fnw+5', 'FNW5+'. A :class:`Space` passes through.

        Raises :class:`SpaceError` naming what is possible.
        """
        if isinstance(name, Space):
            return name
        if not isinstance(name, str):
            raise SpaceError(f"expected the name of a space, got {name!r}; known: {NAMES}")
        if len(name) > LONGEST:
            raise SpaceError(f"unknown space of {len(name)} characters; known: {NAMES}")

        # The parts in their order, capital or small, with underscores anywhere: f_nw+_5.
        match = PATTERN.fullmatch(name.strip().upper().replace("_", ""))
        if match is None:
            near = did_you_mean(name, ("W", "W+", "NW+", "SW+", "FNW5", "Z"), NICKNAMES)
            raise SpaceError(f"unknown space {name!r}; known: {NAMES}{near}")

        # Features and their layer come together.
        f, digits = bool(match["f"]), match["layer"]
        if f and not digits:
            raise SpaceError(
                f"space {name!r} needs the layer its features enter, like {name.strip()}5"
            )
        if digits and not f:
            raise SpaceError(
                f"space {name!r} names a layer but has no features; F{name.strip()} has"
            )

        # Styles of one z, one w, or one w per layer, which the F… and S… spaces always have.
        plus = bool(match["plus"] or match["tail"])
        if match["base"] == "Z":
            if plus or match["s"]:
                raise SpaceError(f"unknown space {name!r}: Z is one vector; known: {NAMES}")
            base: Literal["Z", "W", "W+"] = "Z"
        else:
            base = "W+" if plus or f or match["s"] else "W"

        layer = int(digits) if digits else None
        return cls(base, layer, noise=bool(match["n"]), spatial=bool(match["s"]))

    @property
    def first(self) -> int:
        """The first layer that the generator runs for a point of this space."""
        return self.layer or 1

    def __str__(self) -> str:
        prefix = ("F" if self.layer else "") + "N" * self.noise + "S" * self.spatial
        if self.layer:
            return f"{prefix}{self.base[0]}{self.layer}"
        return prefix + self.base


def check_conversion(source: Space, target: Space) -> None:
    """Raise :class:`SpaceError`, saying what would be lost, unless source → target is exact.

    An exact conversion gives the point more freedom, never less: Z → W → W+ → style maps, features
    of a later layer, noise maps. FZ_i → FW_i applies the mapping network.
    """
    lost = ""
    if BASES.index(target.base) < BASES.index(source.base):
        lost = f"{source.base} styles have no {target.base} vector in general"
    elif source.spatial and not target.spatial:
        lost = "style maps would lose their positions"
    elif source.noise and not target.noise:
        lost = "its noise maps would be dropped"
    elif source.layer and not target.layer:
        lost = f"features at layer {source.layer} have no styles that make them in general"
    elif target.first < source.first:
        lost = f"layers {target.first} to {source.first - 1} cannot be undone"
    if lost:
        raise SpaceError(f"{source} cannot become {target} without loss: {lost}")
