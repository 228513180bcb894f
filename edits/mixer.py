"""One image's region in another: every map mixed under a mask ([S] chapter 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from edits.blending import blend_noise, is_drawn, largest, resize_map
from edits.common_space import check_same_size, to_common_space
from edits.cropping import check_even, feature_size, window
from edits.log import describe_latent, describe_mask, record
from edits.masks import at_size, check_mask, feather_width, feathered, style_mask
from invert.arguments import check_integers, whole
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.companion import Companion
from invert.latents.latent import Latent


def mix(
    generator: Generator,
    a: Latent,
    b: Latent,
    mask: Tensor,
    *,
    keep_styles: int = 0,
    shift: tuple[int, int] = (0, 0),
    feather: float = 0.0,
) -> Latent:
    """`a` and `b` under a mask: a + m(b − a) of every map ([S] eq. 4.2).

    mask         [1, 1, H, W] in [0, 1] at the image's size: a where it is 0, b where it is 1
    keep_styles  the last k styles stay a's everywhere, which keeps its colours
    shift        moves b right and down by (dx, dy) cells of F_i first (F… spaces); beyond its
                 border b goes on with its border cells
    feather      width in pixels of the ramp that replaces hard edges of the mask

    Noise keeps its variance ([S] App. A.2), and so does F_i where the generator samples it. A
    latent without noise maps gets the generator's constant ones where the other has some. Style
    maps take the softer masks of `masks.style_mask`. An empty mask gives a's parts bit for bit, a
    full one b's. A mixture has no companion; `invert.projection.companion` makes one from its F_i.
    Raises :class:`UsageError`, and :class:`LatentError` for images of different sizes.
    """
    # Both as points of one space with style maps; exact.
    dx, dy = check_integers("shift", shift, "dx, dy")
    feather = feather_width(feather)
    other = describe_latent(b)
    a, b = to_common_space(generator, [a, b], base="W+", spatial=True)
    if (dx, dy) != (0, 0):
        b = shift_cells(b, (dx, dy))
    image = check_same_size(generator, [a, b])

    count = len(a.styles)
    last = whole(keep_styles)
    if last is None or not 0 <= last <= count:
        raise UsageError(
            f"keep_styles is between 0 and the {count} styles of {a.space}, got {keep_styles!r}"
        )
    m = feathered(check_mask(mask, image, a.tensors()[0]), feather)

    # Styles, except the last that stay a's.
    styles = []
    for k, (s, t) in enumerate(zip(a.style_list(), b.style_list(), strict=True)):
        layer = generator.layer(a.space.first + k)
        stays = k >= count - last
        styles.append(s if stays else blend_styles(s, t, style_mask(generator, m, layer, image)))

    noise = None
    if a.noise is not None and b.noise is not None:
        noise = tuple(
            blend_noise(n, p, at_size(m, n.shape[2:]))
            for n, p in zip(a.noise, b.noise, strict=True)
        )

    # F_i and R_i, with the mask's share of each cell.
    features = blend(a.features, b.features, m)
    if a.features is not None and b.features is not None and is_drawn(generator, a.space):
        features = blend_noise(a.features, b.features, at_size(m, a.features.shape[2:]))
    mixed = a.replace(
        styles=tuple(styles),
        features=features,
        rgb=blend(a.rgb, b.rgb, m),
        noise=noise,
        companion=sole_companion(a, b, m),
    )

    amounts = {"keep_styles": last, "shift": [dx, dy], "feather": feather}
    return record(mixed, "mix", {"with": other, "mask": describe_mask(mask), **amounts})


def sole_companion(a: Latent, b: Latent, m: Tensor) -> Companion | None:
    """The companion of a under an empty mask, of b under a full one; none for a mixture."""
    if m.numel() > 1 or m.item() not in (0, 1):
        return None
    return b.companion if m.item() else a.companion


def blend(a: Tensor | None, b: Tensor | None, m: Tensor) -> Tensor | None:
    """a + m(b − a) of two maps of one size; exactly a where m is 0, b where it is 1."""
    if a is None or b is None:
        return None
    return torch.lerp(a, b, at_size(m, a.shape[2:]).expand_as(a))


def blend_styles(a: Tensor, b: Tensor, m: Tensor) -> Tensor:
    """a + m(b − a) of style maps of any sizes, at the largest of theirs and the mask's."""
    if m.numel() == 1 and m.item() in (0, 1):
        return b if m.item() else a
    size = largest(a, b, m)
    a, b = resize_map(a, size), resize_map(b, size)
    return torch.lerp(a, b, resize_map(m, size).expand_as(a))


def shift_cells(latent: Latent, cells: tuple[int, int]) -> Latent:
    """The latent's content moved right and down by (dx, dy) cells of F_i; the size stays.

    Border cells fill the rest (`cropping.window`). The companion is dropped. Raises
    :class:`UsageError` when nothing of the image would be left.
    """
    height, width = feature_size(latent)
    dx, dy = cells
    if abs(dx) >= width or abs(dy) >= height:
        raise UsageError(
            f"a shift of {dx}, {dy} leaves nothing of {width}×{height} cells; use a smaller one"
        )
    check_even(latent, "a shift", cells)
    return window(latent, (-dx, -dy, width, height))
