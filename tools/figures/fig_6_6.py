"""[S] fig. 6.6: a face with one eye

[S] projects a picture of a face with one eye, which no generator of faces makes, into FNW5, and
edits it: smile, age and glasses come in their places, and the eye stays one.

The portrait with skin in the place of one eye (`targets.one_eyed`). *Error there*: mean absolute
difference from the target in that place, as a fraction of the range, beside the same for the rest
of the picture. [S] also shows that the picture need not be square; fig. 6.7 does so here.
"""

from __future__ import annotations

from typing import Any

import torch
from editing import edited
from record import Figure, Finding
from sheet import Sheet, Tile
from studio import MAIN, Studio, command
from targets import RIGHT_EYE, one_eyed, portrait
from torch import Tensor

SPACES = ("NW+", "FNW5")
STEPS = 200
EDITS = {"smile": -3.0, "glasses": 3.0, "age": 3.0}
TILE = 220


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    target = one_eyed(portrait(generator))
    sheet = Sheet(("target", "projection", *(f"{name} {s:+g}" for name, s in EDITS.items())), TILE)
    rows: list[dict[str, Any]] = []
    error: dict[str, float] = {}

    for space in SPACES:
        projected = studio.project(target, space, STEPS)
        error[space], elsewhere = errors(projected.image, target)
        distance = studio.measured(projected, target)[MAIN]

        pictures = [
            generator.render(edited(studio, projected.latent, d, s)) for d, s in EDITS.items()
        ]
        sheet.row(
            space,
            target if not rows else None,
            Tile(projected.image, f"{MAIN} {distance:.3f}"),
            *pictures,
        )
        rows.append(
            {
                "space": space,
                MAIN: distance,
                "error there": error[space],
                "error elsewhere": elsewhere,
            }
        )

    ratio = error["FNW5"] / error["NW+"]
    finding = Finding("error in the place of the eye, FNW5 over NW+", ratio, at_most=1)
    return Figure(sheet, rows, [finding], {"steps": STEPS, "edits": EDITS})


def errors(image: Tensor, target: Tensor) -> tuple[float, float]:
    """Mean absolute difference where the eye was, and elsewhere, as fractions of the range."""
    side = image.shape[2]
    x, y, a, b = (round(side * value) for value in RIGHT_EYE)
    there = torch.zeros(side, side, dtype=torch.bool)
    there[y - b : y + b, x - a : x + a] = True
    difference = (image.clamp(-1, 1) - target).abs().mean(1)[0] / 2
    return difference[there].mean().item(), difference[~there].mean().item()


if __name__ == "__main__":
    command(draw)()
