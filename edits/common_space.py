"""Several latents as points of one space, so that their parts can be put together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from invert.errors import LatentError
from invert.generator import Generator
from invert.latents.latent import Latent, Styles
from invert.latents.shapes import Size
from invert.latents.spaces import Space


def common_space(spaces: Sequence[Space], *, base: str = "W", spatial: bool = False) -> Space:
    """The least space that holds points of all these spaces.

    It has the latest layer, and noise and style maps if any has them. W where all are Z or W and
    `base` allows it, else W+.
    """
    layer = max((s.layer for s in spaces if s.layer is not None), default=None)
    spatial = spatial or any(s.spatial for s in spaces)
    plus = base == "W+" or spatial or layer is not None or any(s.base == "W+" for s in spaces)
    return Space("W+" if plus else "W", layer, noise=any(s.noise for s in spaces), spatial=spatial)


def to_common_space(
    generator: Generator, latents: Sequence[Latent], *, base: str = "W", spatial: bool = False
) -> list[Latent]:
    """The latents converted, exactly, to their :func:`common_space`, in one batch size: 1 repeats.

    Raises :class:`LatentError` for batches that do not fit, and what `Generator.check` raises.
    """
    target = common_space([latent.space for latent in latents], base=base, spatial=spatial)

    # One batch size: a single point goes with any batch.
    batch = max(len(latent) for latent in latents)
    sizes = sorted({len(latent) for latent in latents} - {1})
    if len(sizes) > 1:
        raise LatentError(
            f"expected batches of one size, or of one point, got {' and '.join(map(str, sizes))}"
        )
    points = [generator.convert(latent, target) for latent in latents]
    return [
        p if len(p) == batch else p.map(lambda t: t.expand(batch, *t.shape[1:])) for p in points
    ]


def check_same_size(generator: Generator, latents: Sequence[Latent]) -> Size:
    """The image size (height, width) that all latents have.

    Raises :class:`LatentError` when they differ.
    """
    sizes = sorted({generator.check(latent).image for latent in latents})
    if len(sizes) != 1:
        found = " and ".join(f"{w}×{h}" for h, w in sizes)
        raise LatentError(
            f"expected latents of one image size, got {found} px; "
            "crop or place them on a canvas first"
        )
    return sizes[0]


def join_styles(space: Space, styles: Sequence[Tensor]) -> Styles:
    """One style per layer as a latent of W+ stores them: the inverse of `Latent.style_list`."""
    return tuple(styles) if space.spatial else torch.stack(list(styles), 1)
