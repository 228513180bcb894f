"""A direction from a few examples: the mean of those that have an attribute minus the mean of those
that lack it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from directions.direction import Direction, unit
from directions.w_space import WSpace
from invert.errors import UsageError
from invert.latents.layer_ranges import StyleRange


def from_exemplars(
    positive_ws: Tensor,
    negative_ws: Tensor,
    *,
    name: str,
    space: WSpace,
    styles: StyleRange | None = None,
    meaning: str = "",
) -> Direction:
    """The mean difference of exemplars [N, w_dim], or [N, num_ws, w_dim] for a direction of one row
    per layer.

    With few exemplars everything else they happen to share stays in the mean; `styles`, the range
    where the attribute
    is made, keeps most of it out of the image ([A] appendix C). Negatives that match the positives
    in all but the
    attribute help as much. `measured` says how far the groups lie apart along the direction, in
    σ: `gap` on the
    exemplars themselves, `gap_leave_one_out` each on the direction of the others, which is near 0
    for random groups.
    Raises :class:`UsageError` for shapes that do not fit and for groups with equal means.
    """
    positive, negative = positive_ws.detach().cpu().float(), negative_ws.detach().cpu().float()
    shapes = [list(positive.shape), list(negative.shape)]
    if (
        positive.ndim not in (2, 3)
        or positive.shape[1:] != negative.shape[1:]
        or positive.shape[-1] != space.w_dim
        or not len(positive)
        or not len(negative)
    ):
        raise UsageError(
            f"expected positive and negative exemplars [N, {space.w_dim}] or [N, num_ws, {space.w_dim}], "
            f"got {shapes[0]} and {shapes[1]}"
        )
    vectors = unit(positive.mean(0) - negative.mean(0))
    sigma = space.std_along(vectors)
    gap = (along(positive, vectors).mean() - along(negative, vectors).mean()).item() / sigma
    measured: dict[str, float | int] = {"gap": round(gap, 3)}
    if min(len(positive), len(negative)) > 1:
        measured["gap_leave_one_out"] = round(leave_one_out_gap(positive, negative) / sigma, 3)
    source = {
        "method": "mean difference of exemplars",
        "positive": len(positive),
        "negative": len(negative),
    }
    return Direction(name, vectors, sigma, meaning, space.name, styles, source, measured)


def along(ws: Tensor, vectors: Tensor) -> Tensor:
    """Coefficient [N] of the direction in each point: ⟨w, v⟩, averaged over layers where there are
    several.
    """
    return (ws * vectors).sum(-1).reshape(len(ws), -1).mean(1)


def leave_one_out_gap(positive: Tensor, negative: Tensor) -> float:
    """The gap seen by exemplars that took no part in the mean they are measured against."""

    def means_without_each(ws: Tensor) -> Tensor:
        return (ws.sum(0, keepdim=True) - ws) / (len(ws) - 1)

    def coefficients(ws: Tensor, differences: Tensor) -> Tensor:
        return torch.stack(
            [along(w[None], unit(d))[0] for w, d in zip(ws, differences, strict=True)]
        )

    with_attribute = coefficients(positive, means_without_each(positive) - negative.mean(0))
    without = coefficients(negative, positive.mean(0) - means_without_each(negative))
    return (with_attribute.mean() - without.mean()).item()
