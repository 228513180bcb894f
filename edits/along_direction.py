"""A latent along a direction: what `invert edit` does.

Every style moves, and in F… spaces F_i and R_i move with them ([S] chapter 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from directions.catalog import find
from directions.direction import Direction
from edits.attributes.catalog import feature_edit_for
from edits.companion_motion import Motion, remembering
from edits.feature_edit_names import (
    check_feature_edit,
    current_name,
    describe_feature_edit,
    features_or_carry,
    named_feature_edit,
)
from edits.feature_edits import CompanionDifference, FeatureEdit, ResidualWarp
from edits.log import describe_direction, describe_mask, describe_offset, record, styles_moved
from edits.offsets import add_offset
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.layer_ranges import StyleRange, styles_inside
from invert.projection.companion import can_have_companion, ensure_companion, has_companion

THROUGH_COMPANION = ("auto", "residual", "difference")  # feature edits that want a companion
UNIT = "standard deviations of W along the direction"  # of strength, in the log of edits


@dataclass(frozen=True)
class EditStep:
    """What :func:`edit` is about to do, for a callback that reports it.

    stage      "companion": it looks for one, which takes seconds. "features": it changes F_i
    latent     as it is before this step
    direction  along which the edit goes
    features   name of the feature edit; "" in the first stage
    """

    stage: Literal["companion", "features"]
    latent: Latent
    direction: Direction
    features: str = ""


def edit(
    generator: Generator,
    latent: Latent,
    direction: str | Path | Direction,
    strength: float,
    *,
    styles: StyleRange | None = None,
    features: str | FeatureEdit = "auto",
    mask: Tensor | None = None,
    callback: Callable[[EditStep], None] | None = None,
    carry: str | FeatureEdit | None = None,
) -> Latent:
    """The latent `strength` σ along a direction; σ is the standard deviation of W along it.

    direction  of the catalogue, by name, a direction file, or a :class:`Direction`
    styles     (first, stop), the half-open range of 0-based styles that move; by default that of
               the direction
    features   how F_i and R_i change: "auto", "residual", "difference", "model", "keep", the path
               of an attribute model, or any :class:`FeatureEdit`
               (`edits.attributes.catalog.feature_edit_for` says which "auto" takes)
    mask       [1, 1, H, W] in [0, 1] at the image's size: only there
    callback   called before the companion is looked for, and before F_i changes
    carry      the old name of `features`, for one version

    A latent that lacks a companion and can have one gets it first, which takes seconds. Raises
    :class:`UsageError` for unknown names, masks of another size and features that nothing can
    edit, :class:`ModelFileError` for files that are not directions or models, :class:`LatentError`
    for a latent that does not fit the generator, and :class:`FingerprintError` for a direction of
    another one.
    """
    features = features_or_carry(features, carry)
    (result,) = sweep(
        generator,
        latent,
        direction,
        [strength],
        styles=styles,
        features=features,
        mask=mask,
        callback=callback,
    )
    return result


def sweep(
    generator: Generator,
    latent: Latent,
    direction: str | Path | Direction,
    strengths: Iterable[float],
    *,
    styles: StyleRange | None = None,
    features: str | FeatureEdit = "auto",
    mask: Tensor | None = None,
    callback: Callable[[EditStep], None] | None = None,
) -> Iterator[Latent]:
    """The latent edited at each strength, one after another: :func:`edit` with one companion.

    Errors are raised with the first latent.
    """
    yield from edited(
        generator, latent, direction, strengths, styles, features, mask, callback, motions=[]
    )


def chain(
    generator: Generator,
    latent: Latent,
    steps: Iterable[tuple[str | Path | Direction, float]],
    *,
    styles: StyleRange | None = None,
    features: str | FeatureEdit = "auto",
    mask: Tensor | None = None,
    callback: Callable[[EditStep], None] | None = None,
) -> Latent:
    """The latent edited along one direction after the other: :func:`edit` for each of `steps`, a
    direction and its strength.

    The companion's motion to each point on the way is computed once.
    """
    motions: list[Motion] = []
    steps = list(steps)
    for direction, strength in steps:  # errors of a later step come before the first one is made
        offsets_along(generator, direction, [strength], styles)
    for direction, strength in steps:
        (latent,) = edited(
            generator, latent, direction, [strength], styles, features, mask, callback, motions
        )
    return latent


def edited(
    generator: Generator,
    latent: Latent,
    direction: str | Path | Direction,
    strengths: Iterable[float],
    styles: StyleRange | None,
    features: str | FeatureEdit,
    mask: Tensor | None,
    callback: Callable[[EditStep], None] | None,
    motions: list[Motion],
) -> Iterator[Latent]:
    """The latents of :func:`sweep`; `motions` are those computed so far."""
    strengths = list(strengths)
    chosen, offsets = offsets_along(generator, direction, strengths, styles)
    if isinstance(features, str):
        features = current_name(features)
    else:
        check_feature_edit(features)
    report = callback or (lambda step: None)

    # The companion comes first, where styles that made F_i move: edits move it along.
    inside = styles_inside(generator.network, latent.space)
    moves_inside = bool(chosen.offset(generator.num_ws, 1.0, styles)[:inside].any())
    if moves_inside and wants_companion(features):
        if not has_companion(generator, latent) and can_have_companion(generator, latent):
            report(EditStep("companion", latent, chosen))
        latent = ensure_companion(generator, latent)

    # How F_i and R_i change.
    if isinstance(features, str):
        name, feature_edit = feature_edit_for(features, generator, latent, chosen, styles)
    else:
        name, feature_edit = type(features).__name__, features
    if latent.space.layer is not None:
        report(EditStep("features", latent, chosen, name))

    moving = remembering(feature_edit, motions)
    for strength, offset in zip(strengths, offsets, strict=True):
        result = add_offset(generator, latent, offset, moving, mask)
        details = {
            "direction": describe_direction(chosen),
            "strength": float(strength),
            "unit": UNIT,
            "layers": list(chosen.style_range(generator.num_ws, styles)),
        }
        yield record(
            result, "move", {**details, **describe_features_and_mask(result, feature_edit, mask)}
        )


def offsets_along(
    generator: Generator,
    direction: str | Path | Direction,
    strengths: Sequence[float],
    styles: StyleRange | None,
) -> tuple[Direction, list[Tensor]]:
    """The direction, and what an edit of each strength adds to all styles, [num_ws, w_dim].

    Raises :class:`FingerprintError` for a direction of another generator, :class:`UsageError` for
    strengths and styles that it cannot have.
    """
    chosen = direction if isinstance(direction, Direction) else find(direction)
    chosen.check_generator(generator)
    return chosen, [chosen.offset(generator.num_ws, s, styles) for s in strengths]


def wants_companion(features: str | FeatureEdit) -> bool:
    """Whether a feature edit is computed on the companion, or is where there is one."""
    if isinstance(features, str):
        return features in THROUGH_COMPANION
    return isinstance(features, (ResidualWarp, CompanionDifference))


def move(
    generator: Generator,
    latent: Latent,
    offset: Tensor,
    *,
    features: str | FeatureEdit = "residual",
    mask: Tensor | None = None,
    carry: str | FeatureEdit | None = None,
) -> Latent:
    """The latent with `offset` [num_ws, w_dim] added to its styles; F_i and R_i change with them.

    features  "residual", "difference", "keep", or any :class:`FeatureEdit`, as
              `edits.attributes.catalog.feature_edit_for` finds one for a direction; spaces without
              features need none
    mask      [1, 1, H, W] in [0, 1] at the image's size: only there. Styles become maps of at most
              64 cells per training side (more where they already have more), and F_i and R_i move
              by the share of each cell that is covered
    carry     the old name of `features`, for one version

    W becomes W+ when the offset differs by layer, Z becomes the w it maps to. Moving by −offset
    returns; the companion moves along, so that edits chain. Raises :class:`UsageError` for a wrong
    offset, mask or feature edit.
    """
    features = features_or_carry(features, carry)
    result = add_offset(generator, latent, offset, features, mask)
    details = {"offset": describe_offset(offset), "layers": styles_moved(offset)}
    return record(result, "move", {**details, **describe_features_and_mask(result, features, mask)})


def describe_features_and_mask(
    result: Latent, features: str | FeatureEdit, mask: Tensor | None
) -> dict[str, Any]:
    """For the log of edits: how F_i changed, where the space has it, and the mask."""
    details = describe_feature_edit(named_feature_edit(features)) if result.space.layer else None
    return {"carry": details, "mask": describe_mask(mask)}  # a key of the file format
