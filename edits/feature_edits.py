"""How an edit of the styles changes F_i and R_i ([S] chapter 5).

Styles from layer i on are edited as they are, but pose and shape lie in F_i already, where an edit
of styles does not reach. The edits of features here need no training; they compute the change on
the companion, W+ styles whose features approximate F_i (`invert.latents.companion`). An attribute
model (`edits.attributes.model`) is trained to predict the change.

Others do nearly the same with trained networks:

* StyleFeatureEditor (arXiv:2406.10601) computes the difference of features before and after the
  edit in W+, as `CompanionDifference` does, and trains a network that applies it to F.
* StyleRes (arXiv:2212.14359) keeps a residual beside an editable code and trains a network that
  adapts it to the edit; "Warping the Residuals" (arXiv:2312.11422) trains one that estimates the
  flow along which the residual is warped. `ResidualWarp` has the optical flow of the companion's
  features in place of a network, and damps the residual where the edit is no motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from edits.masks import at_size
from edits.optical_flow import DAMPING, SMOOTHNESS, optical_flow, warp
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.layer_ranges import styles_inside
from invert.projection.companion import has_companion
from invert.projection.companion_fit import early_maps
from invert.projection.companion_windows import Windows


class Displacement(NamedTuple):
    """What is added to F_i [N, C, H, W] and R_i [N, 3, h, w]; None where they stay.

    `origin` goes into the edited latent's companion (`Companion.origin`): the companion, F_i and
    R_i before the first edit, from which :class:`ResidualWarp` always computes.
    """

    features: Tensor | None
    rgb: Tensor | None
    origin: tuple[Tensor, ...] | None = None


class FeatureEdit(Protocol):
    """Any object that says how F_i and R_i change when the styles do."""

    def displacement(
        self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor
    ) -> Displacement:
        """The change of F_i and R_i of a latent of an F… space, for an edit of its styles.

        offset  [num_ws, w_dim], what the edit adds to all styles
        weight  the mask [1, 1, H, W] in [0, 1] at the image's size, or [1, 1, 1, 1] where it is
                uniform. A cell changes by the share of it that the mask covers
                (`edits.masks.at_size`)
        """
        ...


@dataclass(frozen=True)
class KeepFeatures:
    """F_i stays: colours and textures follow the edit, pose and shape do not ([S] fig. 6.8)."""

    def displacement(
        self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor
    ) -> Displacement:
        """No change."""
        return Displacement(None, None)


@dataclass(frozen=True)
class CompanionDifference:
    """F_i changes as the features of the companion do, F_i(c + offset) − F_i(c); so does R_i.

    Both terms have the generator's constant noise. Exact where F_i is what the companion makes.
    On a canvas each companion changes the cells of its window, and the others stay.
    """

    def displacement(
        self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor
    ) -> Displacement:
        """The difference under the mask; none for an offset of styles from layer i on."""
        # The styles before layer i made F_i: an offset of later ones leaves it.
        if not offset[: styles_inside(generator.network, latent.space)].any():
            return Displacement(None, None)

        # F_i(c + offset) − F_i(c).
        companion, windows = companion_and_windows(generator, latent)
        before, after = companion_maps(generator, latent, [companion, companion + offset])
        changes = [y - x for x, y in zip(before, after, strict=True)]

        return masked_displacement(latent, windows, weight, changes)


@dataclass(frozen=True)
class ResidualWarp:
    """F_i changes as the companion does, and its residual is warped and damped with it.

    F_i of a close fit holds more than its companion makes. With F_i⁰ the latent's map and c₀ its
    companion before the first edit, residual = F_i⁰ − F_i(c₀). With the companion at c,

        F_i' = F_i(c) + share · warp(residual)

    Where an edit moves things, as when a head turns, the residual moves along: it is warped by the
    optical flow of the companion's features from c₀ to c. Where an edit puts something else there,
    as a closed mouth or glasses, the residual of what was there would show through, and is damped:

        share = 1 / (1 + (|d| / half_change)⁴),   d = F_i(c) − warp(F_i(c₀))

    d is the change that the flow does not explain; |d| is its root mean square over the channels,
    in units of the standard deviation of F_i(c₀) over its cells. The fourth power is a smooth
    switch that is at a half where |d| = half_change. R_i has the same flow and share.

    F_i' depends on c alone and not on the way there: an edit of +s and then −s returns, and without
    masks, or with one mask for all, the order of edits does not matter. Equal to
    `CompanionDifference` where the residual is zero.
    """

    half_change: float = 0.7  # |d| that leaves half of the residual
    flow_steps: int = 4  # between c₀ and c, over which the optical flow is accumulated
    smoothness: float = SMOOTHNESS  # of the optical flow
    damping: float = DAMPING  # of the optical flow

    def displacement(
        self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor
    ) -> Displacement:
        """The change from the companion's c to c + offset; none for styles from layer i on."""
        # The styles before layer i made F_i: an offset of later ones leaves it.
        if not offset[: styles_inside(generator.network, latent.space)].any():
            return Displacement(None, None)

        # The equation above at c + offset, less that at c.
        companion, windows = companion_and_windows(generator, latent)
        origin = latent.origin()
        before, after = (
            self.edited_maps(generator, latent, windows, origin, c)
            for c in (companion, companion + offset)
        )
        changes = [y - x for x, y in zip(before, after, strict=True)]

        return masked_displacement(latent, windows, weight, changes, origin)

    def edited_maps(
        self,
        generator: Generator,
        latent: Latent,
        windows: Windows,
        origin: Sequence[Tensor],
        companion: Tensor,
    ) -> list[Tensor]:
        """(F_i',) or (F_i', R_i') of the windows for a companion that moved from `origin`."""
        # The companion's maps on the straight line c₀ … c in W+.
        line = [
            torch.lerp(origin[0], companion, k / self.flow_steps)
            for k in range(self.flow_steps + 1)
        ]
        path = companion_maps(generator, latent, line)
        first, last = path[0], path[-1]

        # The optical flow of F_i along the line, and the share by the change it leaves unexplained.
        flow = self.optical_flow([maps[0] for maps in path])
        share = self.residual_share(warp(first[0], flow), last[0], first[0])

        # F_i(c) + share · warp(F_i⁰ − F_i(c₀)); R_i likewise.
        residuals = [windows.cut(t) - made for t, made in zip(origin[1:], first, strict=True)]
        return [
            made + at_size(share, made.shape[2:]) * warp(residual, flow)
            for made, residual in zip(last, residuals, strict=True)
        ]

    def optical_flow(self, path: Sequence[Tensor]) -> Tensor:
        """The flow [N, 2, H, W] along maps of F_i (:func:`edits.optical_flow.optical_flow`)."""
        return optical_flow(path, self.smoothness, self.damping)

    def residual_share(self, warped: Tensor, features: Tensor, first: Tensor) -> Tensor:
        """1 / (1 + (|d| / half_change)⁴) [N, 1, H, W], d = features − warped."""
        std = first.var(dim=(2, 3), keepdim=True).mean(dim=1, keepdim=True).sqrt()
        change = (features - warped).square().mean(dim=1, keepdim=True).sqrt() / std
        return 1 / (1 + (change / self.half_change) ** 4)


def companion_and_windows(generator: Generator, latent: Latent) -> tuple[Tensor, Windows]:
    """The companion's styles [N, num_ws, w_dim], or [1, K, num_ws, w_dim] on a canvas; its windows.

    Raises :class:`UsageError` where the latent has no companion, or none that fits its size.
    """
    hint = "use features='keep' or an attribute model, or edit before mixing, shifting and placing"
    if latent.companion is None:
        raise UsageError(
            "this edit of features needs a latent with companion W+ styles; "
            f"invert.projection.companion makes one where it finds a face; {hint}"
        )

    if not has_companion(generator, latent):
        height, width = generator.check(latent).image
        high, wide = generator.image_size
        raise UsageError(
            "a companion without a window edits the features of images of "
            f"{wide}×{high} px, got {width}×{height}; {hint}"
        )
    return latent.companion.styles, Windows.from_latent(generator, latent)


def companion_maps(
    generator: Generator, latent: Latent, companions: Sequence[Tensor]
) -> list[tuple[Tensor, ...]]:
    """(F_i,) or (F_i, R_i) that each of some companions makes, with the generator's constant noise.

    The K companions of a canvas give a batch of K maps.
    """
    flat = [c.flatten(0, -3) for c in companions]
    parts = early_maps(generator, latent.space, torch.cat(flat))
    return list(zip(*(t.split(len(flat[0])) for t in parts), strict=True))


def masked_displacement(
    latent: Latent,
    windows: Windows,
    weight: Tensor,
    changes: Sequence[Tensor],
    origin: tuple[Tensor, ...] | None = None,
) -> Displacement:
    """The changes of F_i, or of F_i and R_i, in their windows, times the mask."""
    maps = [t for t in (latent.features, latent.rgb) if t is not None]
    joined = [
        at_size(weight, t.shape[2:]) * windows.join(change, t)
        for t, change in zip(maps, changes, strict=True)
    ]
    return Displacement(joined[0], joined[1] if len(joined) > 1 else None, origin)
