"""A latent along a direction: what `invert edit` does.

Every style moves, and in F… spaces F_i and R_i move with them ([S] chapter 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from directions.catalog import find
from directions.direction import Direction
from edits.attributes.catalog import feature_edit_for
from edits.blending import largest, resize_map
from edits.common_space import join_styles
from edits.feature_edit_names import (
    current_name,
    describe_feature_edit,
    features_or_carry,
    named_feature_edit,
)
from edits.feature_edits import FeatureEdit
from edits.log import describe_direction, describe_mask, describe_offset, record, styles_moved
from edits.masks import CELLS, at_size, check_mask, style_cells
from invert.errors import UsageError
from invert.generator import Generator
from invert.hardware.precision import full_precision
from invert.latents.latent import Latent
from invert.latents.layer_ranges import StyleRange, styles_inside
from invert.latents.shapes import Size
from invert.latents.spaces import Space
from invert.projection.companion import can_have_companion, ensure_companion, has_companion
from invert.projection.companion_windows import Windows

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
    chosen = direction if isinstance(direction, Direction) else find(direction)
    chosen.check_generator(generator)
    if isinstance(features, str):
        features = current_name(features)
    report = callback or (lambda step: None)

    # The companion comes first: edits move it along.
    if features in THROUGH_COMPANION:
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

    for strength in strengths:
        offset = chosen.offset(generator.num_ws, strength, styles)
        result = add_offset(generator, latent, offset, feature_edit, mask)
        details = {
            "direction": describe_direction(chosen),
            "strength": float(strength),
            "unit": UNIT,
            "layers": list(chosen.style_range(generator.num_ws, styles)),
        }
        yield record(
            result, "move", {**details, **describe_features_and_mask(result, feature_edit, mask)}
        )


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


@full_precision()
def add_offset(
    generator: Generator,
    latent: Latent,
    offset: Tensor,
    features: str | FeatureEdit,
    mask: Tensor | None,
) -> Latent:
    """What :func:`move` returns, without an entry in the log of edits."""
    # The latent as a point of the space that can hold the result; exact.
    check_offset(generator, offset)
    offset = offset.to(generator.device, generator.dtype)
    opened = generator.convert(latent, space_of_result(latent.space, offset, mask is not None))
    sizes = generator.check(opened)

    # The mask, or 1 everywhere.
    weight = torch.ones(1, 1, 1, 1, device=offset.device, dtype=offset.dtype)
    if mask is not None:
        weight = check_mask(mask, sizes.image, offset)
        if not weight.any():
            return opened

    # Styles from layer i on.
    changes: dict[str, Any] = {
        "styles": add_to_styles(generator, opened, offset, weight, sizes.image)
    }
    if not opened.space.layer:
        return opened.replace(**changes)

    # F_i and R_i, by the feature edit.
    change = named_feature_edit(features).displacement(generator, opened, offset, weight)
    for name, value in (("features", change.features), ("rgb", change.rgb)):
        before = getattr(opened, name)
        if value is not None and before is not None:
            changes[name] = before + value

    # The companion moves along; where F_i stays, the styles that made it do too.
    if opened.companion is not None:
        along = offset.clone()
        if change.features is None:
            along[: styles_inside(generator.network, opened.space)] = 0
        along = windows_reached(generator, opened, weight) * along
        changes["companion"] = opened.companion.replace(
            styles=opened.companion.styles + along,
            origin=change.origin or opened.companion.origin,
        )

    return opened.replace(**changes)


def windows_reached(generator: Generator, latent: Latent, weight: Tensor) -> Tensor | float:
    """[1, K, 1, 1]: 1 for each window of a canvas that the mask reaches, else 0.

    1.0 for a companion of all of F_i, and for a mask that is the same everywhere.
    """
    if latent.companion is None or latent.companion.windows is None or weight.shape[2:] == (1, 1):
        return 1.0
    windows = Windows.from_latent(generator, latent)
    shares = windows.cut(at_size(weight, windows.canvas))
    return (shares.amax(dim=(1, 2, 3)) > 0).to(weight).view(1, -1, 1, 1)


def check_offset(generator: Generator, offset: Tensor) -> None:
    """Raise :class:`UsageError` unless the offset is [num_ws, w_dim] and finite."""
    expected = [generator.num_ws, generator.w_dim]
    if list(offset.shape) != expected:
        raise UsageError(f"expected an offset {expected} (num_ws, w_dim), got {list(offset.shape)}")
    if not bool(offset.isfinite().all()):
        raise UsageError(
            "the offset has values that are not finite; use a finite strength and direction"
        )


def space_of_result(space: Space, offset: Tensor, masked: bool) -> Space:
    """W where one w can hold the result, else W+, with style maps under a mask."""
    same_everywhere = bool((offset == offset[0]).all())
    if space.layer is None and space.base != "W+" and same_everywhere and not masked:
        return Space("W", noise=space.noise)
    return Space("W+", space.layer, noise=space.noise, spatial=space.spatial or masked)


def add_to_styles(
    generator: Generator, latent: Latent, offset: Tensor, weight: Tensor, image: Size
) -> Tensor | tuple[Tensor, ...]:
    """The styles plus the offset of their layers, times the mask where they are maps."""
    space = latent.space
    if space.base == "W":
        return latent.style_tensor() + offset[0]

    # Vectors: w_j + offset_j from layer i on.
    rows = offset[space.first - 1 :]
    if not space.spatial:
        return join_styles(
            space, [s + row for s, row in zip(latent.style_list(), rows, strict=True)]
        )

    # Maps: w_j + m offset_j, at the size that holds the detail of both.
    maps = []
    for k, (s, row) in enumerate(zip(latent.style_list(), rows, strict=True)):
        if row.any():
            share = at_size(
                weight, style_cells(generator, generator.layer(space.first + k), image, CELLS)
            )
            share = resize_map(share, largest(s, share))
            s = resize_map(s, largest(s, share)) + share * row[:, None, None]
        maps.append(s)
    return tuple(maps)
