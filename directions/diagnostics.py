"""What a direction does by linear models, and whether it differs from noise in this W space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from directions.direction import Direction
from directions.w_space import WSpace
from invert.errors import UsageError
from invert.hardware.modes import without_autocast

RANDOM_VECTORS = 1000
SEED = 0
# Largest cosine of random unit vectors, in its standard deviations: 1/√w_dim, 0.044 for 512.
COSINE_SIGMAS = 4.0


@dataclass(frozen=True)
class Measurement:
    """What was measured of a direction in one W space; `to_json` for files and `--json`.

    spread_ratio  standard deviation of W along it, over the root mean square of that along random
                  unit vectors
    random_range  the same ratio of 98 % of random unit vectors (1st to 99th percentile)
    cosines       with each known attribute's direction
    leakage       change of each known attribute's linear score per σ, in standard deviations of
                  that score
    correlation   of ⟨w, v⟩ with given scores over given latents, see :func:`correlation`; None
                  without them
    meaningful    False when nothing tells the direction from a random vector
    verdict       that in words, with the threshold
    """

    spread_ratio: float
    random_range: tuple[float, float]
    cosines: Mapping[str, float]
    leakage: Mapping[str, float]
    correlation: float | None
    meaningful: bool
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self) | {"random_range": list(self.random_range)}


@without_autocast()
def measure(
    direction: Direction,
    space: WSpace,
    attributes: Sequence[Direction] = (),
    *,
    held_out: tuple[Tensor, Tensor] | None = None,
) -> Measurement:
    """Compare a direction with random vectors of the W space and with the known attributes.

    attributes  regressions, as `directions.catalog.scores` returns them: the linear score of one
                is ⟨w, u⟩ / σ
    held_out    ws [N, w_dim] or [N, num_ws, w_dim], and scores [N] to correlate with

    Linear scores only see w: for cosines and leakage a W+ direction counts as the mean of its rows
    over its range, and a range of styles as if it were all.

    A direction counts as noise when the standard deviation of W along it lies within that of 98 %
    of random vectors and no cosine exceeds 4/√w_dim. Vectors of another W space, StyleGAN1's for
    instance, look like that. Raises :class:`UsageError` for other widths.
    """
    for d in (direction, *attributes):
        if d.w_dim != space.w_dim:
            raise UsageError(f"direction {d.name!r} is {d.w_dim} wide, the W space {space.w_dim}")

    # cos(v, u), and the change of ⟨w, u⟩ / σ_u when w moves by σ_v·v.
    mean = mean_row(direction)
    vector = F.normalize(mean, dim=0)
    known = {a.name: mean_row(a) for a in attributes}
    cosines = {name: F.cosine_similarity(vector, u, dim=0).item() for name, u in known.items()}
    leakage = {
        a.name: direction.sigma * (mean @ known[a.name]).item() / a.sigma for a in attributes
    }

    # How far W extends along it, in units of a random direction.
    scale, low, high = random_std(space)
    ratio = space.std_along(vector) / scale

    # A direction that is itself among the attributes has cosine 1 there, which says nothing of W.
    limit = COSINE_SIGMAS * space.w_dim**-0.5
    nearest = max((abs(c) for name, c in cosines.items() if name != direction.name), default=0.0)
    meaningful = not low <= ratio <= high or nearest > limit

    answer = "a direction of this W space"
    if not meaningful:
        answer = "not to be told from noise in this W space"
    verdict = (
        f"W spreads {ratio:.2f} times as far along it as along random vectors "
        f"(98 % of those {low:.2f} to {high:.2f}), "
        f"largest cosine with another attribute {nearest:.2f} (random below {limit:.2f}): {answer}"
    )
    r = None if held_out is None else correlation(direction, *held_out)
    return Measurement(ratio, (low, high), cosines, leakage, r, meaningful, verdict)


def mean_row(direction: Direction) -> Tensor:
    """The mean over its range of what it adds to a style, per σ, as [w_dim]."""
    if direction.vectors.ndim == 1:
        return direction.vectors
    first, stop = direction.styles or (0, len(direction.vectors))
    return direction.vectors[first:stop].mean(0)


def random_std(space: WSpace) -> tuple[float, float, float]:
    """(s, low, high) of W along random unit vectors.

    s is the root mean square of its standard deviations; low and high are the 1st and the 99th
    percentile of them, divided by s.
    """
    # E Var⟨w, v⟩ over the sphere is the mean variance of the components of w.
    scale = space.samples.var(0).mean().sqrt().item()

    generator = torch.Generator().manual_seed(SEED)
    shape = (RANDOM_VECTORS, space.w_dim)
    vectors = F.normalize(torch.randn(shape, generator=generator, dtype=torch.float32), dim=1)
    stds = (space.samples @ vectors.T).std(0)
    low, high = (torch.quantile(stds, q).item() / scale for q in (0.01, 0.99))
    return scale, low, high


def correlation(direction: Direction, ws: Tensor, scores: Tensor) -> float:
    """Pearson's r of scores [N] and of how far w [N, w_dim] or W+ codes [N, num_ws, w_dim] lie
    along a direction.

    Raises :class:`UsageError` for other shapes, for fewer than three samples, and for codes that
    lack styles of the direction's range.
    """
    w_dim = direction.w_dim
    fits = ws.ndim in (2, 3) and ws.shape[-1] == w_dim and scores.shape == ws.shape[:1]
    if not fits or len(ws) < 3:
        raise UsageError(
            f"expected three or more ws [N, {w_dim}] or [N, num_ws, {w_dim}] with scores [N], "
            f"got {list(ws.shape)} and {list(scores.shape)}"
        )
    distances = along(direction, ws.cpu().double())
    return torch.corrcoef(torch.stack([distances, scores.cpu().double()]))[0, 1].item()


def along(direction: Direction, ws: Tensor) -> Tensor:
    """How far [N] points lie along a direction: ⟨w, v⟩, and of W+ codes the mean of ⟨w_j, v_j⟩ over
    the direction's range. A code of equal styles w lies where w does.
    """
    if ws.ndim == 2:
        return ws @ mean_row(direction).to(ws)
    first, stop = direction.style_range(ws.shape[1])
    vectors = direction.vectors.to(ws)
    rows = vectors if vectors.ndim == 1 else vectors[first:stop]
    return (ws[:, first:stop] * rows).sum(-1).mean(1)
