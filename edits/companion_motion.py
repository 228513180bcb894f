"""The companion's motion for several edits of one latent: each point of it is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from edits.feature_edits import FeatureEdit, ResidualWarp
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.projection.companion_windows import Windows

REMEMBERED = 2  # points: where an edit starts, and where the last one ended


@dataclass(frozen=True, eq=False)
class Motion:
    """The maps of F_i and R_i that a companion gives, by where it was and where it is.

    where  what the maps depend on beside tensors
    c0     the companion, F_i and R_i before the first edit
    c      the companion now
    """

    where: tuple[object, ...]
    c0: tuple[Tensor, ...]
    c: Tensor
    maps: list[Tensor]

    def is_of(self, where: tuple[object, ...], c0: Sequence[Tensor], c: Tensor) -> bool:
        """Whether these are the maps of such a companion."""
        if self.where != where or len(self.c0) != len(c0):
            return False
        return same(self.c, c) and all(map(same, self.c0, c0))


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are of one kind and equal bit for bit."""
    return a is b or (a.dtype == b.dtype and a.device == b.device and torch.equal(a, b))


@dataclass(frozen=True)
class RememberedWarp(ResidualWarp):
    """`ResidualWarp` whose last results are remembered, with the same result bit for bit.

    Edits of one latent by several strengths have the point in common where they start, and an edit
    along a second direction starts where the first one ended.
    """

    motions: list[Motion] = field(default_factory=list, repr=False, compare=False)

    def edited_maps(
        self,
        generator: Generator,
        latent: Latent,
        windows: Windows,
        origin: Sequence[Tensor],
        companion: Tensor,
    ) -> list[Tensor]:
        """What `ResidualWarp` gives, computed unless it is one of the last two results."""
        where = generator.fingerprint, latent.space, windows, self.settings
        known = [m for m in self.motions if m.is_of(where, origin, companion)]
        if known:
            (motion,) = known
            self.motions.remove(motion)
        else:
            maps = super().edited_maps(generator, latent, windows, origin, companion)
            motion = Motion(where, tuple(origin), companion, maps)

        self.motions.append(motion)
        del self.motions[:-REMEMBERED]
        return motion.maps

    @property
    def settings(self) -> tuple[float, ...]:
        """The values of `ResidualWarp`'s fields."""
        return tuple(getattr(self, f.name) for f in fields(ResidualWarp))


def remembering(feature_edit: FeatureEdit, motions: list[Motion]) -> FeatureEdit:
    """The feature edit; of a `ResidualWarp` one that remembers its results in `motions`."""
    if type(feature_edit) is not ResidualWarp:
        return feature_edit
    values = {f.name: getattr(feature_edit, f.name) for f in fields(ResidualWarp)}
    return RememberedWarp(**values, motions=motions)
