"""[S] fig. 7.10 with a landscape: distribution regularization of styles, F_5 and R_5

[S] regularizes styles, F_5 and R_5. Both generators of landscapes have an RGB sum, so all three are
here.

`examples/land.png` in FNW5. There are no attributes of landscapes to measure, so the edit goes
along the first principal component of W, and *response* is the change of the pixels from −2 to +2σ,
over that of generated pictures in NW+ (1: reacts as they do). Other numbers as for fig. 7.8.
"""

from __future__ import annotations

from statistics import mean
from typing import Any

from earth import NETWORK, both, land, names
from editing import edit_mark, pixel_change
from record import Figure, Finding
from regularized import LONG_WEIGHTS, TILE, WEIGHTS, histograms, unexplained
from sheet import Sheet, Tile
from studio import LPIPS, MAIN, Studio, command
from torch import Tensor

from directions.direction import Direction
from directions.pca import principal_directions
from edits.along_direction import sweep
from invert.latents.latent import Latent

SPACE = "FNW5"
SHORT, LONG = 40, 120  # steps
STRENGTHS = (-2.0, 2.0)
REFERENCE_SEEDS = range(200_000, 200_016)
PARTS = ("styles", "features", "rgb")


def draw(studio: Studio) -> Figure:
    weights = LONG_WEIGHTS if studio.quick else WEIGHTS
    ways = [(SHORT, weight) for weight in weights] + [(LONG, weight) for weight in LONG_WEIGHTS]
    sheet = Sheet([f"lambda = {weight:g}, {steps} steps" for steps, weight in ways], TILE)
    studios = both(studio)

    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    for each in studios:
        runs = project_all(each, ways, sheet)
        rows += runs
        findings += findings_of(each.generator.name, runs)
    studio.edits = edit_mark()
    settings = {"generators": names(studios), "space": SPACE, "strengths": STRENGTHS}
    return Figure(sheet, rows, findings, settings)


def project_all(
    studio: Studio, ways: list[tuple[int, float]], sheet: Sheet
) -> list[dict[str, Any]]:
    """The picture projected with every number of steps and weight; a column each on the sheet."""
    image = land(studio)
    [direction] = principal_directions(studio.generator, 1)
    generated = mean(
        pixel_change(*swept(studio, studio.opened(seed, "NW+"), direction))
        for seed in REFERENCE_SEEDS[: studio.count(len(REFERENCE_SEEDS))]
    )

    columns, runs = [], []
    for steps, weight in ways:
        projected = studio.project(image, SPACE, steps, dist_weight=weight)
        metrics = studio.measured(projected, image)
        edits = swept(studio, projected.latent, direction)
        tiles = histograms(studio, projected.latent, metrics)
        tiles.append(Tile(projected.image, f"{MAIN} {metrics[MAIN]:.3f}"))
        columns.append([*tiles, *map(Tile, edits)])
        runs.append(
            {
                "generator": studio.generator.name,
                "steps": steps,
                "weight": weight,
                **{f"wasserstein {part}": metrics[f"wasserstein {part}"] for part in PARTS},
                MAIN: metrics[MAIN],
                LPIPS: metrics[LPIPS],
                **unexplained(studio, projected.latent),
                "response": pixel_change(*edits) / generated,
            }
        )

    labels = [f"{studio.generator.name}, {SPACE}", *[""] * len(PARTS)]
    labels += [f"{direction.name} {strength:+g}" for strength in STRENGTHS]
    for label, row in zip(labels, zip(*columns, strict=True), strict=True):
        sheet.row(label, *row)
    return runs


def swept(studio: Studio, point: Latent, direction: Direction) -> list[Tensor]:
    """The pictures of a point at both strengths along a direction."""
    points = sweep(studio.generator, point, direction, STRENGTHS)
    return [studio.generator.render(edited) for edited in points]


def findings_of(name: str, runs: list[dict[str, Any]]) -> list[Finding]:
    """What λ = 1 does to the distribution of every part and to the response, short and long."""
    found = []
    for steps in (SHORT, LONG):
        of = {run["weight"]: run for run in runs if run["steps"] == steps}
        for part in PARTS:
            fall = of[0][f"wasserstein {part}"] / of[1][f"wasserstein {part}"]
            what = f"{name}, {steps} steps, λ = 1: fall of the Wasserstein distance of {part}"
            found.append(Finding(what, fall, at_least=1))
        for value in (MAIN, LPIPS, "response"):
            what = f"{name}, {steps} steps, λ = 1: {value} over that without"
            found.append(Finding(what, of[1][value] / of[0][value]))
    return found


if __name__ == "__main__":
    command(draw, NETWORK)()
