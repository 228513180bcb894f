"""FNW5 and NW+ on five pictures, at equal steps and at convergence (figure 6.2, in two halves)."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

from record import Figure, Finding
from sheet import Sheet, Tile
from studio import LPIPS, MAIN, Studio
from targets import faces

SPACES = ("NW+", "FNW5")
EQUAL, CONVERGED = 200, 600
WANTED = {EQUAL: 0.15, CONVERGED: 0.30}  # share by which FNW5 is to be lower
IMAGES = 5
TILE = 200

Details = Mapping[str, Mapping[str, Any]]  # what was measured, by picture, space and steps


def two_spaces_figure(studio: Studio, first: int, before: Details | None = None) -> Figure:
    """Five of `targets.faces`, from the one with number `first`; findings are means over those
    `before` too.
    """
    sheet = Sheet(
        ("image", *(f"{space}, {steps} steps" for steps in WANTED for space in SPACES)), TILE
    )
    details: dict[str, Mapping[str, Any]] = dict(before or {})
    rows: list[dict[str, Any]] = []

    chosen = list(faces(studio.generator, first + studio.count(IMAGES)).items())[first:]
    for name, image in chosen:
        tiles = [Tile(image)]
        for steps in WANTED:
            values = {}
            for space in SPACES:
                projected = studio.project(image, space, steps)
                found = studio.measured(projected, image)
                values[space] = found[MAIN]
                details[key(name, space, steps)] = {
                    **found,
                    "start": projected.start,
                    "best_step": projected.best_step,
                    "seconds": projected.seconds,
                }
                tiles.append(Tile(projected.image, f"{MAIN} {found[MAIN]:.3f}"))
            rows.append(
                {"image": name, "steps": steps, **values, "ratio": values["FNW5"] / values["NW+"]}
            )
        sheet.row(name, *tiles)

    names = [distance.name for distance in studio.distances]
    settings = {"steps": list(WANTED)}
    return Figure(sheet, rows, findings_of(details, [*names, "mse"]), settings, details)


def findings_of(details: Details, distances: list[str]) -> list[Finding]:
    """The mean share by which each distance is lower in FNW5, over all measured pictures."""
    images = list(dict.fromkeys(name.split(", ")[0] for name in details))
    found = []
    for steps, share in WANTED.items():
        for distance in distances:
            pairs = [
                [details[key(image, space, steps)][distance] for space in SPACES]
                for image in images
            ]
            lower = 1 - mean(b / a for a, b in pairs)
            what = (
                f"{steps} steps, {len(images)} pictures: {distance} lower in FNW5 by (mean share)"
            )
            found.append(
                Finding(what, lower, at_least=share if distance in (MAIN, LPIPS) else None)
            )
    return found


def key(image: str, space: str, steps: int) -> str:
    return f"{image}, {space}, {steps}"
