"""Two maps into one ([S] eq. 4.2): linear interpolation, for noise with its variance (App. A.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.generator import Generator
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.shapes import Size
from invert.latents.spaces import Space

SIGNIFICANT = 3.0  # correlation, in standard errors


def resize_map(t: Tensor, size: Sequence[int]) -> Tensor:
    """A style map [N, w_dim, h, w] at another size, bilinear as the generator enlarges it.

    1×1 is exact; other enlargements round the places where the slope changes to the new cells.
    """
    if tuple(t.shape[2:]) == tuple(size):
        return t
    if t.shape[2:] == (1, 1):
        return t.expand(-1, -1, *size)
    return F.interpolate(t, size=tuple(size), mode="bilinear", align_corners=False)


def largest(*maps: Tensor) -> Size:
    """The least size that holds every map's detail."""
    return max(m.shape[2] for m in maps), max(m.shape[3] for m in maps)


def blend_noise(a: Tensor, b: Tensor, m: Tensor) -> Tensor:
    """a + m(b − a) of noise maps [N, C, H, W], divided by its standard deviation.

    `m` broadcasts; exactly a where m = 0 and b where m = 1. For independent maps the divisor is
    √(2m² − 2m + 1) ([S] A.2). They need not be independent: latents without noise maps share the
    generator's constant ones, and projections start from these. With correlation ρ the variance is
    (1 − m)² + m² + 2ρm(1 − m), so that mixing a map with itself changes nothing.
    """
    rho = correlation(a, b, m)
    variance = (1 - m).square() + m.square() + 2 * rho * m * (1 - m)
    return torch.lerp(a, b, m.expand_as(a)) / variance.sqrt()


def is_drawn(generator: Generator, space: Space) -> bool:
    """Whether F_i of the space is drawn like noise: that with which a generator of FNZ_i starts."""
    network = generator.network
    return network.latent_map is not None and space.layer == network.first


def correlation(a: Tensor, b: Tensor, m: Tensor) -> Tensor:
    """The correlation in [0, 1] of two zero-mean maps, [N, 1, 1, 1], where the mask is soft.

    0 unless it is significant, so that independent maps count as such, however few cells there are.
    """
    weight = (m * (1 - m)).expand_as(a)

    def total(t: Tensor) -> Tensor:
        return (weight * t).sum(dim=(1, 2, 3), keepdim=True)

    # ρ = Σ w a b / √(Σ w a² Σ w b²), w = m(1 − m).
    tiny = torch.finfo(a.dtype).tiny
    rho = total(a * b) / (total(a.square()) * total(b.square())).sqrt().clamp_min(tiny)

    # The standard error for independent maps is 1 / √cells; equal maps of few cells stay equal.
    cells = total(torch.ones_like(a)).square() / weight.square().sum(
        dim=(1, 2, 3), keepdim=True
    ).clamp_min(tiny)
    threshold = (SIGNIFICANT / cells.clamp_min(1).sqrt()).clamp(max=0.99)
    return torch.where(rho > threshold, rho.clamp(max=1), torch.zeros_like(rho))


def elementwise(function: Callable[..., Tensor], points: Sequence[Latent]) -> dict[str, Any]:
    """Styles, features, rgb and companion of points of one space, each the function of theirs.

    A part that one of the points lacks is None, and so is the companion where one has windows.
    Style maps are brought to the largest size first.
    """
    first = points[0]
    parts: dict[str, Any] = {}
    for name in ("styles", "features", "rgb", "companion"):
        values = [getattr(point, name) for point in points]

        if any(value is None for value in values):
            parts[name] = None
        elif name == "companion":
            whole = all(companion.windows is None for companion in values)
            parts[name] = Companion(function(*(c.styles for c in values))) if whole else None
        elif isinstance(getattr(first, name), tuple):
            groups = zip(*values, strict=True)
            parts[name] = tuple(
                function(*(resize_map(s, largest(*group)) for s in group)) for group in groups
            )
        else:
            parts[name] = function(*values)
    return parts
