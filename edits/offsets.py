"""A latent with an offset of its styles, and the change of F_i that follows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edits.blending import largest, resize_map
from edits.common_space import join_styles
from edits.feature_edit_names import named_feature_edit
from edits.feature_edits import FeatureEdit
from edits.masks import CELLS, at_size, check_mask, style_cells
from invert.errors import UsageError
from invert.generator import Generator
from invert.hardware.precision import full_precision
from invert.latents.latent import Latent
from invert.latents.layer_ranges import check_layers_exist, styles_inside
from invert.latents.shapes import Size
from invert.latents.spaces import Space
from invert.projection.companion_windows import Windows


@full_precision()
def add_offset(
    generator: Generator,
    latent: Latent,
    offset: Tensor,
    features: str | FeatureEdit,
    mask: Tensor | None,
) -> Latent:
    """What `edits.along_direction.move` returns, without an entry in the log of edits."""
    # The latent as a point of the space that can hold the result; exact.
    check_offset(generator, offset)
    moved = offset.any(1).nonzero().flatten().tolist()
    if moved:
        check_layers_exist(generator.network, moved[0], moved[-1] + 1)
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
    if moved and moved[-1] < opened.space.first - 1 and change.features is None:
        raise UsageError(
            f"styles {moved[0]} to {moved[-1]} have no effect in {opened.space} where "
            f"F_{opened.space.layer} stays as it is; choose styles from {opened.space.first - 1} "
            "on, or another edit of features"
        )
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
