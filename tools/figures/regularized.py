"""Projections with distribution regularization at several weights, short and long (figures 7.8 to
7.11).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from editability import EDITS, SHOWN, pictures, relative_responses
from histogram import histogram
from record import Figure, Finding
from sheet import Sheet, Tile
from studio import LPIPS, MAIN, Studio
from targets import faces
from torch import Tensor

from invert.latents.latent import Latent
from invert.metrics.distribution_distance import distribution_parts
from invert.projection.companion import fit_companions, later_styles
from invert.projection.settings import ProjectionSettings

DEFAULT = 200  # steps
WEIGHTS, LONG_WEIGHTS = (0.0, 0.1, 1.0), (0.0, 1.0)  # λ at DEFAULT steps, and in the long runs
LIMITS = {"styles": (-2.5, 2.5)}
WIDE = 4.0  # standard deviations that a histogram of features shows
TOLERANCE = 0.05  # by which perceptual distances may differ and count as equal
TILE = 160

Run = dict[str, Any]


def regularized_figure(studio: Studio, images: int, space: str, long: int) -> Figure:
    """The portrait and generated faces projected into `space`, in `DEFAULT` and `long` steps;
    findings are of means.
    """
    weights = LONG_WEIGHTS if studio.quick else WEIGHTS
    ways = [(DEFAULT, weight) for weight in weights] + [(long, weight) for weight in LONG_WEIGHTS]
    sheet = Sheet([f"lambda = {weight:g}, {steps} steps" for steps, weight in ways], TILE)
    runs: list[Run] = []
    for name, image in faces(studio.generator, studio.count(images)).items():
        runs += project_all(studio, name, image, space, ways, sheet)
    settings = {"space": space, "edits": EDITS, "tolerance": TOLERANCE}
    return Figure(sheet, runs, findings_of(means(runs), long), settings)


def project_all(
    studio: Studio,
    name: str,
    image: Tensor,
    space: str,
    ways: Sequence[tuple[int, float]],
    sheet: Sheet,
) -> list[Run]:
    """One picture, projected with every number of steps and weight; a column each is drawn on the
    sheet.
    """
    columns, runs = [], []

    for steps, weight in ways:
        projected = studio.project(image, space, steps, dist_weight=weight)
        metrics = studio.measured(projected, image)
        tiles = histograms(studio, projected.latent, metrics)
        tiles.append(Tile(projected.image, f"{MAIN} {metrics[MAIN]:.3f}"))
        columns.append([*tiles, *map(Tile, pictures(studio, projected.latent))])

        response = relative_responses(studio, projected.latent)
        runs.append(
            {
                "image": name,
                "steps": steps,
                "weight": weight,
                **{key: value for key, value in metrics.items() if key.startswith("wasserstein")},
                MAIN: metrics[MAIN],
                LPIPS: metrics[LPIPS],
                **unexplained(studio, projected.latent),
                **{f"response, {key}": value for key, value in response.items()},
            }
        )
    parts = len(columns[0]) - 1 - len(SHOWN)
    labels = [f"{name}, {space}", *[""] * parts, *(f"{edit} {EDITS[edit]:+g}" for edit in SHOWN)]
    for label, row in zip(labels, zip(*columns, strict=True), strict=True):
        sheet.row(label, *row)
    return runs


def histograms(studio: Studio, point: Latent, metrics: Run) -> list[Tile]:
    """The distribution of every part of a point over the generated one, with their distance."""
    tiles = []
    for part, (values, generated) in distribution_parts(studio.generator, point).items():
        spread = WIDE * generated.std().item()
        bars = histogram(values, generated, LIMITS.get(part, (-spread, spread)), TILE)
        tiles.append(Tile(bars, f"{part}: W1 = {metrics[f'wasserstein {part}']:.3f}"))
    return tiles


def means(runs: Sequence[Run]) -> list[Run]:
    """One run per number of steps and weight, with the mean over the pictures of every value; None
    where one misses.
    """
    groups: dict[tuple[int, float], list[Run]] = {}
    for run in runs:
        groups.setdefault((run["steps"], run["weight"]), []).append(run)
    return [
        {
            key: None if None in (values := [run[key] for run in group]) else mean(values)
            for key in group[0].keys() - {"image"}
        }
        for group in groups.values()
    ]


def unexplained(studio: Studio, point: Latent) -> dict[str, float]:
    """The share of the variance of F_i that likely styles do not explain, where there is F_i."""
    if point.features is None:
        return {}
    _, share = fit_companions(
        studio.generator, point, None, later_styles(point), ProjectionSettings.companion_steps
    )
    return {"F_i missed by styles": share.item()}


def findings_of(runs: Sequence[Run], long: int) -> list[Finding]:
    """What the regularizer did: to the distribution, to long runs, and to the strength of edits."""
    found = []
    for steps in (DEFAULT, long):
        plain, *others = [run for run in runs if run["steps"] == steps]
        falls = {
            run["weight"]: plain["wasserstein styles"] / run["wasserstein styles"] for run in others
        }
        farther = {
            distance: {run["weight"]: run[distance] / plain[distance] for run in others}
            for distance in (MAIN, LPIPS)
        }
        for weight, fall in falls.items():
            run_of = f"{steps} steps, λ = {weight:g}"
            found.append(Finding(f"{run_of}: fall of the styles' Wasserstein distance", fall))
            for distance, ratios in farther.items():
                found.append(Finding(f"{run_of}: {distance} over that without", ratios[weight]))

        # In LPIPS, as [S] has it.
        equal = [fall for weight, fall in falls.items() if farther[LPIPS][weight] <= 1 + TOLERANCE]
        what = f"{steps} steps: largest of these falls at equal {LPIPS}, 1 where there is none"
        found.append(Finding(what, max(equal, default=1.0), at_least=5))

    # Long runs: how much of the response to edits remains.
    for weight in LONG_WEIGHTS:
        of = {run["steps"]: run["response, all"] for run in runs if run["weight"] == weight}
        kept = of[long] / of[DEFAULT] if of[DEFAULT] and of[long] is not None else None
        what = f"λ = {weight:g}: response at {long} steps over that at {DEFAULT}"
        found.append(Finding(what, kept, at_least=0.9 if weight else None))
    for steps in (DEFAULT, long):
        plain, *others = [run for run in runs if run["steps"] == steps]
        for run in others:
            grown = None
            if plain["response, all"] and run["response, all"] is not None:
                grown = run["response, all"] / plain["response, all"]
            what = f"{steps} steps: response with λ = {run['weight']:g} over that without"
            found.append(Finding(what, grown, at_least=1))
    return found
