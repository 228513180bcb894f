"""Directions from a few examples: the mean with an attribute minus the mean without it ([A])."""

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
    """The difference of the means of exemplars [N, w_dim] or [N, num_ws, w_dim].

    W+ exemplars give a direction with one row per style. The mean of a few exemplars also has
    everything else that they happen to share. `styles`, the range that makes the attribute, keeps
    most of that out of the image ([A] appendix C); negatives that match the positives in all but
    the attribute help as much.

    `measured` has the distance of the groups along the direction, in σ: `gap` of the exemplars
    themselves, and `gap_leave_one_out`, each along the direction of the others, which is near 0 for
    random groups. Raises :class:`UsageError` for shapes that do not fit and for equal means.
    """
    positive, negative = positive_ws.detach().cpu().float(), negative_ws.detach().cpu().float()
    check_exemplars(positive, negative, space.w_dim)

    vectors = unit(positive.mean(0) - negative.mean(0))
    sigma = space.std_along(vectors)

    # Distance of the means along the direction, in σ.
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


def check_exemplars(positive: Tensor, negative: Tensor, w_dim: int) -> None:
    """Raise :class:`UsageError` unless there are some of both, of the same shape."""
    if (
        positive.ndim not in (2, 3)
        or positive.shape[1:] != negative.shape[1:]
        or positive.shape[-1] != w_dim
        or not len(positive)
        or not len(negative)
    ):
        raise UsageError(
            f"expected positive and negative exemplars [N, {w_dim}] or [N, num_ws, {w_dim}], "
            f"got {list(positive.shape)} and {list(negative.shape)}"
        )


def along(ws: Tensor, vectors: Tensor) -> Tensor:
    """Coefficient [N] of the direction in each point: ⟨w, v⟩, in W+ its mean over the styles."""
    return (ws * vectors).sum(-1).reshape(len(ws), -1).mean(1)


def leave_one_out_gap(positive: Tensor, negative: Tensor) -> float:
    """Distance of the groups, each exemplar measured along the direction that the others make."""

    def means_without_each(ws: Tensor) -> Tensor:
        return (ws.sum(0, keepdim=True) - ws) / (len(ws) - 1)

    def coefficients(ws: Tensor, differences: Tensor) -> Tensor:
        return torch.stack(
            [along(w[None], unit(d))[0] for w, d in zip(ws, differences, strict=True)]
        )

    with_attribute = coefficients(positive, means_without_each(positive) - negative.mean(0))
    without = coefficients(negative, positive.mean(0) - means_without_each(negative))
    return (with_attribute.mean() - without.mean()).item()
