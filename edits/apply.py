"""Along a direction: every style moves, and F_i and R_i move with them ([S] chapter 5)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edits.blending import largest, resize_map
from edits.common_space import join_styles
from edits.feature_edits import Carrier, carrier_facts, find_carrier
from edits.log import mask_facts, moved_layers, offset_facts, record
from edits.masks import CELLS, at_size, check_mask, style_cells
from invert.errors import UsageError
from invert.generator import Generator
from invert.hardware.precision import full_precision
from invert.latents.latent import Latent
from invert.latents.layer_ranges import styles_inside
from invert.latents.shapes import Size
from invert.latents.spaces import Space
from invert.projection.companion_windows import Windows


def move(
    generator: Generator,
    latent: Latent,
    offset: Tensor,
    *,
    carry: str | Carrier = "repaint",
    mask: Tensor | None = None,
) -> Latent:
    """The latent with `offset` [num_ws, w_dim] added to its styles, and carried into F_i and R_i in
    F… spaces.

    carry  "repaint", "difference", "styles", or any :class:`Carrier`, as
           `edits.attributes.catalog.carrier_for` finds one for a direction; W+ spaces without
           features need none
    mask   [1, 1, H, W] in [0, 1] at the image's size: only there. Styles become maps of at most 64
           cells per training side (more where they already have more), and F_i and R_i move by the
           share of each cell that is covered

    W becomes W+ when the offset differs by layer, Z becomes the w it maps to. Moving by −offset
    returns; the companion
    moves along, so that edits chain. Raises :class:`UsageError` for a wrong offset, mask or
    carrier.
    """
    result = moved(generator, latent, offset, carry, mask)
    facts = {"offset": offset_facts(offset), "layers": moved_layers(offset)}
    return record(result, "move", {**facts, **way_facts(result, carry, mask)})


def way_facts(moved: Latent, carry: str | Carrier, mask: Tensor | None) -> dict[str, Any]:
    """For the log of edits: how F_i followed, where the space has it, and the mask."""
    carrier = carrier_facts(find_carrier(carry)) if moved.space.layer else None
    return {"carry": carrier, "mask": mask_facts(mask)}


@full_precision()
def moved(
    generator: Generator, latent: Latent, offset: Tensor, carry: str | Carrier, mask: Tensor | None
) -> Latent:
    """What :func:`move` returns, without an entry in the log of edits."""
    check_offset(generator, offset)
    offset = offset.to(generator.device, generator.dtype)
    opened = generator.convert(latent, space_of_result(latent.space, offset, mask is not None))
    sizes = generator.check(opened)
    weight = torch.ones(1, 1, 1, 1, device=offset.device, dtype=offset.dtype)
    if mask is not None:
        weight = check_mask(mask, sizes.image, offset)
        if not weight.any():
            return opened
    changes: dict[str, Any] = {
        "styles": moved_styles(generator, opened, offset, weight, sizes.image)
    }
    if opened.space.layer:
        push = find_carrier(carry).displacement(generator, opened, offset, weight)
        for name, value in (("features", push.features), ("rgb", push.rgb)):
            before = getattr(opened, name)
            if value is not None and before is not None:
                changes[name] = before + value
        if opened.companion is not None:
            along = offset.clone()
            if push.features is None:  # the companion still makes this F_i
                along[: styles_inside(generator, opened.space)] = 0
            along = touched(generator, opened, weight) * along
            changes["companion"] = opened.companion.replace(
                styles=opened.companion.styles + along,
                origin=push.origin or opened.companion.origin,
            )
    return opened.replace(**changes)


def touched(generator: Generator, latent: Latent, weight: Tensor) -> Tensor | float:
    """1 for every companion of a canvas that the mask reaches, else 0, as [1, K, 1, 1]; 1.0 for
    that of a whole.
    """
    if latent.companion is None or latent.companion.windows is None or weight.shape[2:] == (1, 1):
        return 1.0
    windows = Windows.from_latent(generator, latent)
    shares = windows.cut(at_size(weight, windows.canvas))
    return (shares.amax(dim=(1, 2, 3)) > 0).to(weight).view(1, -1, 1, 1)


def check_offset(generator: Generator, offset: Tensor) -> None:
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


def moved_styles(
    generator: Generator, latent: Latent, offset: Tensor, weight: Tensor, image: Size
) -> Tensor | tuple[Tensor, ...]:
    """The styles plus the offset of their layers, weighted where they are maps."""
    space = latent.space
    if space.base == "W":
        return latent.style_tensor() + offset[0]
    rows = offset[space.first - 1 :]
    if not space.spatial:
        return join_styles(
            space, [s + row for s, row in zip(latent.style_list(), rows, strict=True)]
        )
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
