"""Values of a latent moved towards the distribution that its generator makes ([S] chapter 7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from edits.common_space import join_styles
from edits.log import record
from invert.arguments import check_number
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.distributions import group_means
from invert.latents.latent import Latent
from invert.metrics.distribution_distance import distribution_parts

Part = Literal["styles", "features", "rgb"]
PARTS: tuple[Part, ...] = ("styles", "features", "rgb")


def equalize(
    generator: Generator,
    latent: Latent,
    amount: float,
    parts: Part | Sequence[Part] | None = None,
) -> Latent:
    """(1 − c)·x + c·T⁻¹(S(x)) for every value x of each part, c = `amount` in [0, 1] ([S] eq. 7.1).

    S and T are the distribution functions of the part (all its values pooled, each point of the
    batch alone) and of generated ones. The order of values stays, and the Wasserstein distance
    falls linearly with the amount, to 0 at 1. `parts` names one or some of "styles", "features",
    "rgb"; by default all that the latent has. Raises :class:`UsageError` for an amount outside and
    for parts that the latent lacks.
    """
    amount = check_number("amount", amount, 0, 1)
    generator.check(latent)
    latent = latent.to(generator.device, generator.dtype)

    # The parts: those that the latent and the generator have, or the named ones.
    present = distribution_parts(generator, latent)
    chosen = list(present)
    if parts is not None:
        chosen = [parts] if isinstance(parts, str) else list(parts)
    missing = [name for name in chosen if name not in present]
    if missing or not chosen:
        raise UsageError(
            f"{latent.space} has no {missing[0] if missing else 'parts'} to equalize here; it has "
            f"{', '.join(present) or 'none: convert it to W first'}"
        )

    changes: dict[str, Any] = {}
    for name in chosen:
        values, target = present[name]
        moved = equalize_values(values, target, amount)
        changes[name] = split_styles(latent, moved) if name == "styles" else moved

    return record(latent.replace(**changes), "equalize", {"amount": amount, "parts": chosen})


def equalize_values(values: Tensor, ordered: Tensor, amount: float) -> Tensor:
    """Equation 7.1 for each row of values [N, …] and the ascending values `ordered` [m] of the
    target.
    """
    # T⁻¹ at as many quantiles as there are values.
    rows = values.flatten(1)
    target = group_means(ordered, rows.shape[1]).to(rows)

    # The value of rank r becomes the quantile of rank r: T⁻¹(S(x)).
    rank = rows.argsort(dim=1, stable=True)
    quantiles = torch.empty_like(rows).scatter_(1, rank, target.expand_as(rows))
    return torch.lerp(rows, quantiles, amount).view_as(values)


def split_styles(latent: Latent, values: Tensor) -> Tensor | tuple[Tensor, ...]:
    """Pooled values as the latent's styles again."""
    if not isinstance(latent.styles, tuple):
        return values.view_as(latent.styles)
    sizes = [s[0].numel() for s in latent.styles]
    maps = [v.view_as(s) for v, s in zip(values.split(sizes, dim=1), latent.styles, strict=True)]
    return join_styles(latent.space, maps)
