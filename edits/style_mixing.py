"""Two latents by style, in between, and in sums; styles sampled anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from edits.blending import blend_noise, elementwise, is_drawn
from edits.common_space import check_same_size, join_styles, to_common_space
from edits.log import describe_latent, record
from edits.mixer import mix
from invert.arguments import check_number, whole
from invert.errors import LatentError, UsageError
from invert.generator import Generator
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.layer_ranges import (
    StyleRange,
    check_layers_exist,
    style_range,
    styles_inside,
)
from invert.latents.shapes import Size
from invert.projection.companion import later_styles

Travel = Literal["right", "left", "down", "up"]
TRAVELS: tuple[Travel, ...] = ("right", "left", "down", "up")
TRAVEL_EDGE = 0.25  # of the image's side: width of the soft edge of a travelling mask


def style_mix(generator: Generator, a: Latent, b: Latent, styles: str | StyleRange) -> Latent:
    """`a` with a range of styles from `b`.

    styles  "coarse", "middle", "fine", or a half-open range of 0-based indices

    Noise stays a's. In F… spaces F_i and R_i come from b when the range holds all styles that made
    them, and from a when it holds none, which is exactly what mixing in W+ gives; the companion
    comes with them. Raises :class:`LatentError` when it holds some of them, and
    :class:`UsageError` for styles of layers that the generator does not have.
    """
    start, stop = style_range(generator.network, styles)
    check_layers_exist(generator.network, start, stop)
    details = {"layers": [start, stop], "from": describe_latent(b)}
    a, b = to_common_space(generator, [a, b], base="W+")
    check_same_size(generator, [a, b])

    # The styles before layer i exist only together, as F_i.
    inside = styles_inside(generator.network, a.space)
    from_b = [start <= j < stop for j in range(generator.num_ws)]
    if any(from_b[:inside]) and not all(from_b[:inside]):
        raise LatentError(
            f"styles {start} to {stop - 1} hold some of the first {inside} styles, which {a.space} "
            "has only together, as features; take all or none of them, or mix latents of W+"
        )

    # Each later style is a's or b's, and F_i and R_i go with the early ones.
    pairs = zip(a.style_list(), b.style_list(), from_b[a.space.first - 1 :], strict=True)
    mixed_styles = join_styles(a.space, [t if of_b else s for s, t, of_b in pairs])
    early = b if inside and all(from_b[:inside]) else a

    mixed = a.replace(
        styles=mixed_styles, features=early.features, rgb=early.rgb, companion=early.companion
    )
    if mixed.companion is not None:
        first = max(inside, mixed.space.first - 1)
        mixed = mixed.replace(companion=with_later_styles(mixed.companion, mixed, first))

    return record(mixed, "style_mix", details)


def with_later_styles(companion: Companion, latent: Latent, first: int) -> Companion:
    """The companion whose styles from number `first` on are those of the latent, as vectors.

    The styles before it stay, and with them the features that edits start from.
    """
    later = later_styles(latent)[:, first + 1 - latent.space.first :]
    if companion.windows is not None:
        later = later[:, None].expand(-1, companion.styles.shape[1], -1, -1)
    return companion.replace(styles=torch.cat([companion.styles[..., :first, :], later], -2))


def resample(
    generator: Generator,
    latent: Latent,
    styles: str | StyleRange,
    seed: int,
    *,
    psi: float = 1.0,
    label: int | None = None,
) -> Latent:
    """The latent with a range of styles sampled anew and the others fixed ([A] fig. 18).

    `psi` is the truncation of the sample, `label` the class for a conditional generator. Raises
    what :func:`style_mix` and `Generator.sample` raise.
    """
    other = generator.sample(seed, psi=psi, label=label)
    start, stop = style_range(generator.network, styles)
    mixed = style_mix(generator, latent, other, (start, stop))
    details = {"layers": [start, stop], "seed": seed, "psi": psi, "class": label}
    return record(mixed.replace(metadata=latent.metadata), "resample", details)


def interpolate(generator: Generator, a: Latent, b: Latent, t: float) -> Latent:
    """a + t(b − a), t in [0, 1], in the common space of both ([S] eq. 4.1).

    Noise maps keep their variance, and so does F_i where the generator samples it. Z is
    interpolated as the w it maps to. Raises :class:`UsageError` for t outside, :class:`LatentError`
    for images of different sizes.
    """
    t = check_number("t", t, 0, 1)
    details = {"t": t, "to": describe_latent(b)}
    a, b = to_common_space(generator, [a, b])
    check_same_size(generator, [a, b])
    parts = elementwise(lambda x, y: torch.lerp(x, y, t), [a, b])

    # Noise maps and a sampled F_i keep their variance.
    def drawn(x: Tensor, y: Tensor) -> Tensor:
        return blend_noise(x, y, x.new_full((1, 1, 1, 1), t))

    if a.features is not None and b.features is not None and is_drawn(generator, a.space):
        parts["features"] = drawn(a.features, b.features)
    if a.noise is not None and b.noise is not None:
        parts["noise"] = tuple(map(drawn, a.noise, b.noise))

    # At either end the companion is that of the end, with its origin.
    if t in (0, 1):
        parts["companion"] = (b if t else a).companion
    return record(a.replace(**parts), "interpolate", details)


def frames(
    generator: Generator, a: Latent, b: Latent, count: int, mask_travel: Travel | None = None
) -> Iterator[Latent]:
    """`count` latents from a to b, both included, made one by one.

    They are interpolated or, with `mask_travel`, mixed under a mask whose soft edge travels
    "right", "left", "down" or "up" with b behind it ([S] fig. 4.2). Raises :class:`UsageError` at
    once, not at the first frame.
    """
    number = whole(count)
    if number is None or number < 2:
        raise UsageError(f"expected at least 2 frames, got {count!r}")
    if mask_travel is not None and mask_travel not in TRAVELS:
        raise UsageError(f"unknown mask travel {mask_travel!r}; known: {', '.join(TRAVELS)}")

    a, b = to_common_space(generator, [a, b])
    image = check_same_size(generator, [a, b])

    def generate() -> Iterator[Latent]:
        for k in range(number):
            t = k / (number - 1)
            if mask_travel is None:
                yield interpolate(generator, a, b, t)
            else:
                yield mix(generator, a, b, travelling_mask(image, mask_travel, t))

    return generate()


def travelling_mask(image: Size, travel: Travel, t: float) -> Tensor:
    """[1, 1, H, W]: 1 behind an edge that has gone the fraction t of its way, else 0.

    All 0 at t = 0 and all 1 at t = 1.
    """
    # Position of the cells along the way, from 0 to 1.
    axis = 1 if travel in ("right", "left") else 0
    side = image[axis]
    position = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    if travel in ("left", "up"):
        position = position.flip(0)

    # A ramp TRAVEL_EDGE wide, which starts before the image and ends behind it.
    ramp = ((t * (1 + TRAVEL_EDGE) - position) / TRAVEL_EDGE).clamp(0, 1)
    line = ramp[None, :] if axis == 1 else ramp[:, None]
    return line.expand(*image)[None, None].contiguous()


def combine(generator: Generator, a: Latent, b: Latent, c: Latent) -> Latent:
    """a + (b − c) in the common space of all: what b has and c has not, given to a.

    With b = c the image of a. Noise stays a's: a sum of three maps would not be noise of unit
    variance. What earlier edits damped in F_i does not come back by an edit of the sum. Raises
    :class:`LatentError` for images of different sizes.
    """
    details = {"plus": describe_latent(b), "minus": describe_latent(c)}
    a, b, c = to_common_space(generator, [a, b, c])
    check_same_size(generator, [a, b, c])
    parts = elementwise(lambda x, y, z: x + (y - z), [a, b, c])
    return record(a.replace(**parts), "combine", details)
