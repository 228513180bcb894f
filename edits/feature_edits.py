"""What an edit of the styles does to F_i and R_i, which were made before it ([S] chapter 5).

Styles from layer i on are edited as they are; poses and shapes are already in F_i. A carrier says
how F_i must move. The ones here need no training; `edits.attributes.model` is one that is trained.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from edits.log import digest
from edits.masks import at_size
from edits.optical_flow import DAMPING, motion, moved
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.layer_ranges import styles_inside
from invert.projection.companion import has_companion
from invert.projection.companion_fit import early_maps
from invert.projection.companion_windows import Windows


class Displacement(NamedTuple):
    """What is added to F_i [N, C, H, W] and R_i [N, 3, h, w]; None where they stay.

    `origin` is what the latent must remember (`Companion.origin`) for the way back, where that takes
    more than the
    companion.
    """

    features: Tensor | None
    rgb: Tensor | None
    origin: tuple[Tensor, ...] | None = None


class FeatureEdit(Protocol):
    """Anything that can carry an edit into F_i and R_i."""

    def displacement(
        self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor
    ) -> Displacement:
        """For a latent of an F… space, an offset of all styles [num_ws, w_dim], and a mask.

        `weight` is the mask [1, 1, H, W] in [0, 1] at the image's size, one cell where it is
        uniform: cells move by the
        share of them that it covers (`edits.masks.at_size`).
        """
        ...


@dataclass(frozen=True)
class KeepFeatures:
    """Leaves F_i as it is: colours and textures follow the edit, poses and shapes do not ([S] fig.
    6.8).
    """

    def displacement(
        self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor
    ) -> Displacement:
        return Displacement(None, None)


@dataclass(frozen=True)
class CompanionDifference:
    """F_i(companion + offset) − F_i(companion), with the generator's constant noise; the same for
    R_i.

    Exact where the latent is what its companion makes. On a canvas every companion moves the cells
    of its place, and
    the rest of the canvas stays.
    """

    def displacement(
        self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor
    ) -> Displacement:
        if not offset[: styles_inside(generator.network, latent.space)].any():
            return Displacement(None, None)
        companion, windows = check_companion(generator, latent)
        before, after = made_maps(generator, latent, [companion, companion + offset])
        return displacement(
            latent, windows, weight, [a - b for b, a in zip(before, after, strict=True)]
        )


@dataclass(frozen=True)
class ResidualWarp:
    """The companion's difference; what F_i held beyond its companion moves with it, and gives way
    where it changes.

    A close fit holds more than its companion: F_i = F_i(companion) + rest. The rest was fitted to
    what was there.
    When an edit turns the head, the rest goes along: by the motion of the companion's F_i since the
    latent's origin
    (`edits.optical_flow`). Where an edit paints something else, a closed mouth or glasses, the rest
    would show through.
    With d the change of the companion's F_i that is no motion, a cell keeps the share 1 / (1 + (|d|
    / half_change)⁴) of
    its rest. |d| is the root mean square over the channels, in units of the spread of the
    companion's F_i over the
    picture. The rest of R_i moves with its cells and keeps their share.

    The result depends on where the companion is, not on the way there: +S then −S returns, and the
    order of edits does
    not matter. Equal to `CompanionDifference` where the latent is what its companion makes.
    """

    half_change: float = 1.0  # |d| at which half of the residual is left
    flow_steps: int = 4  # of the way from the origin, over which the optical flow is summed
    damping: float = DAMPING  # of the optical flow

    def displacement(
        self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor
    ) -> Displacement:
        if not offset[: styles_inside(generator.network, latent.space)].any():
            return Displacement(None, None)
        companion, windows = check_companion(generator, latent)
        origin = latent.origin()
        before, after = (
            self.painted(generator, latent, windows, origin, c)
            for c in (companion, companion + offset)
        )
        return displacement(
            latent, windows, weight, [a - b for a, b in zip(after, before, strict=True)], origin
        )

    def painted(
        self,
        generator: Generator,
        latent: Latent,
        windows: Windows,
        origin: Sequence[Tensor],
        companion: Tensor,
    ) -> list[Tensor]:
        """F_i, or F_i and R_i, of the windows once the companion of the origin has become
        `companion`.
        """
        way = [
            torch.lerp(origin[0], companion, k / self.flow_steps)
            for k in range(self.flow_steps + 1)
        ]
        path = made_maps(generator, latent, way)
        start, now = path[0], path[-1]
        displacements = self.motion([maps[0] for maps in path])
        share = self.kept(moved(start[0], displacements), now[0], start[0])
        rests = [windows.cut(whole) - made for whole, made in zip(origin[1:], start, strict=True)]
        return [
            made + at_size(share, made.shape[2:]) * moved(rest, displacements)
            for made, rest in zip(now, rests, strict=True)
        ]

    def motion(self, path: Sequence[Tensor]) -> Tensor:
        """Displacements [N, 2, H, W] of what maps of F_i on the way show (`edits.optical_flow`)."""
        return motion(path, self.damping)

    def kept(self, expected: Tensor, found: Tensor, start: Tensor) -> Tensor:
        """The share [N, 1, H, W] of the rest that stays where a map was expected and another was
        found.
        """
        spread = start.var(dim=(2, 3), keepdim=True).mean(dim=1, keepdim=True).sqrt()
        distance = (found - expected).square().mean(dim=1, keepdim=True).sqrt() / spread
        return 1 / (1 + (distance / self.half_change) ** 4)


def check_companion(generator: Generator, latent: Latent) -> tuple[Tensor, Windows]:
    """The companion [N, num_ws, w_dim], or those of a canvas [1, K, num_ws, w_dim], and what they
    describe.

    Raises :class:`UsageError` where there is none that can carry.
    """
    hint = "use features='keep' or an attribute model, or edit before mixing, shifting and placing"
    if latent.companion is None:
        raise UsageError(
            f"this edit of features needs a latent with companion W+ styles; invert.projection.companion makes one where it finds a face; "
            f"{hint}"
        )
    if not has_companion(generator, latent):
        height, width = generator.check(latent).image
        high, wide = generator.image_size
        raise UsageError(
            f"a companion without a window edits the features of images of {wide}×{high} px, got {width}×{height}; {hint}"
        )
    return latent.companion.styles, Windows.from_latent(generator, latent)


def made_maps(
    generator: Generator, latent: Latent, companions: Sequence[Tensor]
) -> list[tuple[Tensor, ...]]:
    """(F_i,) or (F_i, R_i) of each of some companions, [K, …] on a canvas, with the generator's
    constant noise.
    """
    flat = [c.flatten(0, -3) for c in companions]
    parts = early_maps(generator, latent.space, torch.cat(flat))
    return list(zip(*(t.split(len(flat[0])) for t in parts), strict=True))


def displacement(
    latent: Latent,
    windows: Windows,
    weight: Tensor,
    pushes: Sequence[Tensor],
    origin: tuple[Tensor, ...] | None = None,
) -> Displacement:
    """What is added to F_i or to F_i and R_i, put together from what the windows are pushed by, under
    the mask.
    """
    maps = [t for t in (latent.features, latent.rgb) if t is not None]
    joined = [
        at_size(weight, t.shape[2:]) * windows.join(p, t) for t, p in zip(maps, pushes, strict=True)
    ]
    return Displacement(joined[0], joined[1] if len(joined) > 1 else None, origin)


OLD_NAMES = {"repaint": "residual", "styles": "keep"}  # read in this version, then no more

FEATURE_EDITS: dict[str, FeatureEdit] = {
    "residual": ResidualWarp(),
    "difference": CompanionDifference(),
    "keep": KeepFeatures(),
}


def feature_edit_facts(features: FeatureEdit) -> dict[str, Any]:
    """For the log of edits: the feature edit's name here, or its class, its settings, and the digest of
    its weights.
    """
    names = {type(known): name for name, known in FEATURE_EDITS.items()}
    facts: dict[str, Any] = {"name": names.get(type(features), type(features).__name__)}
    if is_dataclass(features):
        values = {field.name: getattr(features, field.name) for field in fields(features)}
        facts |= {
            name: value for name, value in values.items() if isinstance(value, (int, float, str))
        }
    if weights := tensors_inside(features):
        facts["sha256"] = digest(weights)
    return facts


def tensors_inside(part: Any, name: str = "carrier") -> dict[str, Tensor]:
    """The tensors of a dataclass and of the dataclasses in it, by the names of their fields."""
    if isinstance(part, Tensor):
        return {name: part}
    if not is_dataclass(part):
        return {}
    return {
        key: tensor
        for field in fields(part)
        for key, tensor in tensors_inside(getattr(part, field.name), f"{name}.{field.name}").items()
    }


def named_feature_edit(features: str | FeatureEdit) -> FeatureEdit:
    """The feature edit of a name; an object passes through. Raises :class:`UsageError` for an
    unknown name.

    An attribute model belongs to a direction: `edits.attributes.catalog.feature_edit_for` finds it.
    """
    if not isinstance(features, str):
        return features

    name = current_name(features)
    if name not in FEATURE_EDITS:
        raise UsageError(
            f"unknown feature edit {features!r}; known: {', '.join(FEATURE_EDITS)}, "
            "or what feature_edit_for returns"
        )
    return FEATURE_EDITS[name]


def current_name(features: str) -> str:
    """The name of a feature edit, with a warning where an earlier version called it so."""
    if features not in OLD_NAMES:
        return features
    name = OLD_NAMES[features]
    warnings.warn(
        f"the feature edit {features!r} is called {name!r} now", DeprecationWarning, stacklevel=3
    )
    return name


def features_or_carry(features: str | FeatureEdit, carry: str | FeatureEdit | None) -> Any:
    """`features`, or what came by its old keyword `carry`, with a warning."""
    if carry is None:
        return features
    warnings.warn("the keyword carry= is called features= now", DeprecationWarning, stacklevel=3)
    return carry
