"""What an edit of the styles does to F_i and R_i, which were made before it ([S] chapter 5).

Styles from layer i on are edited as they are; poses and shapes are already in F_i. A carrier says how F_i must
move. The ones here need no training; `edits.attribute_model` is one that is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from edits.layers import styles_inside
from edits.masks import at_size
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents import Latent
from invert.spaces import Space


class Displacement(NamedTuple):
    """What is added to F_i [N, C, H, W] and R_i [N, 3, h, w]; None where they stay."""

    features: Tensor | None
    rgb: Tensor | None


class Carrier(Protocol):
    """Anything that can carry an edit into F_i and R_i."""

    def displacement(self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor) -> Displacement:
        """For a latent of an F… space, an offset of all styles [num_ws, w_dim], and a mask.

        `weight` is the mask [1, 1, H, W] in [0, 1] at the image's size, one cell where it is uniform: cells move by the
        share of them that it covers (`edits.masks.at_size`).
        """
        ...


@dataclass(frozen=True)
class StylesOnly:
    """Leaves F_i as it is: colours and textures follow the edit, poses and shapes do not ([S] fig. 6.8)."""

    def displacement(self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor) -> Displacement:
        return Displacement(None, None)


@dataclass(frozen=True)
class CompanionDifference:
    """F_i(companion + offset) − F_i(companion), with the generator's constant noise; the same for R_i.

    Exact where the latent is what its companion makes. The companion is one face at the training size and place, so a
    latent on a canvas of another size is refused: its companion says nothing about where its faces are.
    """

    def displacement(self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor) -> Displacement:
        if not offset[: styles_inside(generator, latent.space)].any():
            return Displacement(None, None)
        hint = "use carry='styles' or an attribute model, or edit before mixing, shifting and placing"
        if latent.companion is None:
            raise UsageError(f"carry='difference' needs a latent with companion W+ styles; project it again, {hint}")
        if not at_training_size(generator, latent):
            height, width = generator.check(latent).image
            raise UsageError(
                f"carry='difference' works on images of {generator.resolution}×{generator.resolution} px, got "
                f"{width}×{height}; {hint}"
            )
        both = generator.latent(torch.cat([latent.companion, latent.companion + offset]))
        made = generator.convert(both, Space("W+", latent.space.layer))
        maps = (None if t is None else t[len(latent) :] - t[: len(latent)] for t in (made.features, made.rgb))
        return Displacement(*(None if t is None else at_size(weight, t.shape[2:]) * t for t in maps))


def at_training_size(generator: Generator, latent: Latent) -> bool:
    """Whether F_i of a latent has the size that the companion's has."""
    return generator.check(latent).features == generator.shapes(latent.space).features


CARRIERS: dict[str, Carrier] = {"difference": CompanionDifference(), "styles": StylesOnly()}


def find_carrier(carry: str | Carrier) -> Carrier:
    """The carrier of a name; an object passes through. Raises :class:`UsageError` for an unknown name.

    An attribute model belongs to a direction: `edits.attribute_catalog.carrier_for` finds it.
    """
    if not isinstance(carry, str):
        return carry
    if carry not in CARRIERS:
        raise UsageError(f"unknown carrier {carry!r}; known: {', '.join(CARRIERS)}, or what carrier_for returns")
    return CARRIERS[carry]
