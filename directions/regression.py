"""Directions from scores: the normal of a linear model that predicts an attribute from w.

As in InterFaceGAN (Shen et al., arXiv:2005.09635), whose boundaries are normals of linear SVMs.
The models here are logistic and ridge regression, with a penalty chosen by cross-validation, and
directions are made orthogonal to others as there (conditional manipulation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, train_test_split
from torch import Tensor

from directions.direction import Direction, root_mean_square_norm, unit
from directions.w_space import WSpace
from invert.arguments import check_seed
from invert.errors import UsageError
from invert.latents.layer_ranges import StyleRange, check_range

Kind = Literal["auto", "logistic", "linear"]
MIN_SAMPLES = 20
HELD_OUT = 0.2
FOLDS = 5
# Strengths of the L2 penalty that are tried. Components of w have a standard deviation of about
# 0.4: the middle suits 512 dimensions and a few thousand samples, the strong end a few dozen.
RIDGE_ALPHA = (1.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
LOGISTIC_C = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
# A stronger penalty turns the vector towards where W varies, and images follow it further: yaw at
# the best penalty moved rendered faces by 0.32 standard deviations per σ, at ten times that penalty
# by 0.67, for 0.013 less R².
TOLERANCE = 0.03


def learn(
    ws: Tensor,
    scores: Tensor,
    *,
    name: str,
    space: WSpace,
    kind: Kind = "auto",
    against: Sequence[Direction] = (),
    styles: StyleRange | None = None,
    meaning: str = "",
    seed: int = 0,
) -> Direction:
    """The direction of W along which the scores [N] grow.

    ws       w [N, w_dim], or W+ codes [N, num_ws, w_dim], which count as the mean of their styles
             in the range `styles`
    kind     "linear" is ridge regression; "logistic" is a classifier of the scores above and below
             a threshold: the middle of two values, 0.5 if all lie in [0, 1], else the median;
             "auto" is logistic for two values
    against  directions to which the result is made orthogonal

    The penalty is chosen by five-fold cross-validation on 80 % of the samples: the strongest whose
    score is within 0.03 of the best. The vector is then fitted again on all samples.

    `measured` has the cross-validated score, and `held_out`: that of the direction alone on the
    other 20 %, which took no part in the choice. Both are R² or balanced accuracy, which counts
    rare and frequent classes alike. `chance` is what a constant answer reaches; R² below it means
    that the mean score predicts better than the direction, as it does for noise. Raises
    :class:`UsageError` for fewer than 20 samples, constant or non-finite scores, styles outside the
    codes', or when nothing is left beside `against`.
    """
    x, y = check_samples(mean_styles(ws, styles), scores, space)
    seed = check_seed(seed)

    # Classes, where the model is a classifier.
    if kind == "auto":
        kind = "logistic" if len(np.unique(y)) == 2 else "linear"
    middle: float | None = None
    if kind == "logistic":
        middle = threshold(y)
        y = y > middle
        check_classes(y)
    elif kind != "linear":
        raise UsageError(f"kind is 'auto', 'logistic' or 'linear', got {kind!r}")

    # The penalty, and how well its direction does on held-out samples.
    train, test = train_test_split(
        np.arange(len(y)),
        test_size=HELD_OUT,
        random_state=seed,
        stratify=y if kind == "logistic" else None,
    )
    search = penalty_search(kind, seed).fit(x[train], y[train])
    held_out = score_along(orthogonal(normal(search.best_estimator_), against), x, y, train, test)
    cross_validated = float(search.cv_results_["mean_test_score"][search.best_index_])

    # The normal of the model of all samples.
    vector = unit(orthogonal(normal(search.best_estimator_.fit(x, y)), against))

    source: dict[str, Any] = {
        "method": f"{kind} regression",
        "samples": len(y),
        "penalty": {key: float(value) for key, value in search.best_params_.items()},
        "seed": seed,
    }
    if middle is not None:
        source["threshold"] = middle
    if against:
        source["orthogonal_to"] = [d.name for d in against]
    measured = {
        "metric": "balanced accuracy" if kind == "logistic" else "R2",
        "cross_validated": round(cross_validated, 4),
        "held_out": round(held_out, 4),
        "chance": 0.5 if kind == "logistic" else 0.0,
    }
    sigma = space.std_along(vector)
    return Direction(name, vector, sigma, meaning, space.name, styles, source, measured)


def orthogonal(vector: Tensor, against: Sequence[Direction]) -> Tensor:
    """The part of `vector` [w_dim] that is orthogonal to all directions `against`.

    Raises :class:`UsageError` for directions of W+ and where next to nothing is left.
    """
    if not against:
        return vector
    wrong = [d.name for d in against if d.vectors.shape != vector.shape]
    if wrong:
        raise UsageError(
            f"expected directions of one vector [{len(vector)}] to be orthogonal to, "
            f"{wrong[0]!r} is not"
        )

    # v − B argmin_x |B x − v|, with the directions in the columns of B.
    basis = torch.stack([d.vectors for d in against]).to(vector).T  # [w_dim, n]
    coefficients = torch.linalg.lstsq(basis, vector[:, None], driver="gelsd").solution[:, 0]
    remainder = vector - basis @ coefficients

    if root_mean_square_norm(remainder) < 1e-3 * root_mean_square_norm(vector):
        names = ", ".join(d.name for d in against)
        raise UsageError(f"nothing is left beside {names}; the scores measure the same")
    return remainder


def mean_styles(ws: Tensor, styles: StyleRange | None) -> Tensor:
    """w [N, w_dim] as it is; of W+ codes [N, num_ws, w_dim] the mean of the styles in a range.

    A linear score needs no more: the mean of ⟨w_j, v⟩ over the range is ⟨w, v⟩ of the mean w.
    Raises :class:`UsageError` for a range that ends outside the codes.
    """
    if ws.ndim != 3:
        return ws
    first, stop = (0, ws.shape[1]) if styles is None else check_range(styles)
    if not 0 <= first < stop <= ws.shape[1]:
        raise UsageError(
            f"styles {first} to {stop - 1}: expected a range within 0 to {ws.shape[1] - 1}, "
            "both included"
        )
    return ws[:, first:stop].mean(1)


def check_samples(ws: Tensor, scores: Tensor, space: WSpace) -> tuple[np.ndarray, np.ndarray]:
    """ws [N, w_dim] and scores [N] as float64 arrays; raises :class:`UsageError` for unfit ones."""
    if ws.ndim != 2 or ws.shape[1] != space.w_dim or scores.shape != ws.shape[:1]:
        raise UsageError(
            f"expected ws [N, {space.w_dim}] or [N, num_ws, {space.w_dim}] and scores [N], "
            f"got {list(ws.shape)} and {list(scores.shape)}"
        )
    if len(ws) < MIN_SAMPLES:
        raise UsageError(
            f"expected at least {MIN_SAMPLES} samples, got {len(ws)}; exemplars need fewer"
        )

    if not (bool(ws.isfinite().all()) and bool(scores.isfinite().all())):
        raise UsageError(
            "expected finite latents and scores, got NaN or infinity; leave those samples out"
        )
    if len(scores.unique()) < 2:
        raise UsageError(f"expected scores that differ, all are {scores[0]:g}")
    return ws.cpu().double().numpy(), scores.cpu().double().numpy()


def check_classes(y: np.ndarray) -> None:
    """Raise :class:`UsageError` for a class with fewer than two samples in a fold."""
    counts = y.sum(), (~y).sum()
    if min(counts) < 2 * FOLDS:
        raise UsageError(
            f"expected at least {2 * FOLDS} samples of each class, got {counts[0]} and {counts[1]}"
        )


def threshold(scores: np.ndarray) -> float:
    """The score between two classes: the middle of two values, 0.5 in [0, 1], else the median."""
    values = np.unique(scores)
    if len(values) == 2:
        return float(values.mean())
    return 0.5 if values[0] >= 0 and values[-1] <= 1 else float(np.median(scores))


def penalty_search(kind: Kind, seed: int) -> GridSearchCV:
    """The cross-validation that chooses the penalty of a model."""
    folds: KFold | StratifiedKFold
    if kind == "logistic":
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        return GridSearchCV(
            LogisticRegression(max_iter=1000, class_weight="balanced"),
            {"C": LOGISTIC_C},
            scoring="balanced_accuracy",
            cv=folds,
            refit=strongest_good_penalty,
        )

    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    return GridSearchCV(Ridge(), {"alpha": RIDGE_ALPHA}, cv=folds, refit=strongest_good_penalty)


def strongest_good_penalty(results: Mapping[str, Any]) -> int:
    """Index of the strongest penalty, the last, whose score is within the tolerance of the best."""
    scores = results["mean_test_score"]
    return int(np.flatnonzero(scores >= scores.max() - TOLERANCE)[-1])


def normal(model: Ridge | LogisticRegression) -> Tensor:
    """The vector [w_dim] along which the model's output grows."""
    return torch.from_numpy(np.asarray(model.coef_, dtype=np.float64).reshape(-1))


def score_along(
    vector: Tensor, x: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray
) -> float:
    """Balanced accuracy of ⟨w, v⟩ alone on the samples `test`, or R² of the line of `train`."""
    along = x @ unit(vector).double().numpy()

    # Classes are divided in the middle of their means. A fitted threshold would not do: with fewer
    # samples than dimensions the training classes lie too far apart along v.
    if y.dtype == bool:
        means = [along[train][y[train] == k].mean() for k in (False, True)]
        return float(balanced_accuracy_score(y[test], along[test] > sum(means) / 2))

    # The line of the training samples, sign included. One fitted to the test samples would flatter
    # the direction: its R² is Pearson's r², of noise 1 / (n − 1).
    slope, intercept = np.polyfit(along[train], y[train], 1)
    return float(r2_score(y[test], slope * along[test] + intercept))
