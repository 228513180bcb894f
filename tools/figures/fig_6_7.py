"""[S] fig. 6.7: two people in one latent

[S] projects a photograph of four people into one FNW5 latent at a size where each face is as large
as the generator makes them, and edits all of them at once with attribute models.

Here a picture of 2048×1024 px: the portrait and a generated face. Both are found by themselves and
get a companion each, on which their edits are computed ("residual"; before the name changed
"repaint"). First both are edited, then, with a mask, only the left one. *Outside* is the mean
absolute change, as a fraction of the range, where the mask is 0. The faces are measured each on its
own.
"""

from __future__ import annotations

from typing import Any

import torch
from editing import edited
from faces import Face, descriptor_distance
from record import Figure, Finding
from sheet import Sheet, Tile
from studio import MAIN, Studio, command
from targets import generated, portrait, two_people
from torch import Tensor

from directions.catalog import find
from edits.attributes.catalog import feature_edit_for
from invert.projection.companion import ensure_companion

SEED = 1003
STEPS = 200
EDITS = {"smile": -2.0, "glasses": 3.0}
SOFT = 1 / 16  # of a face's side: width of the mask's edge


def left_mask(side: int) -> Tensor:
    """[1, 1, side, 2·side]: 1 over the left face, falling to 0 just before the right one begins."""
    column = torch.arange(2 * side) + 0.5
    return ((side - column) / (SOFT * side)).clamp(0, 1).expand(1, 1, side, -1).contiguous()


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    target = two_people(portrait(generator), generated(generator, SEED))
    projected = studio.project(target, "FNW5", STEPS)

    # The point, and the people in its picture.
    mask = left_mask(generator.resolution)
    point = ensure_companion(generator, projected.latent)
    before = people(studio, projected.image)
    distance = studio.measured(projected, target)[MAIN]

    sheet = Sheet()
    sheet.row(
        f"target, and one latent of FNW5: {MAIN} {distance:.3f}",
        Tile(target),
        Tile(projected.image),
    )
    rows, findings = [], []

    # Edits of both people, then of the left one under the mask.
    for name, strength in EDITS.items():
        tiles = []
        features, _ = feature_edit_for("auto", generator, point, find(name))
        for where, region in (("both", None), ("left", mask)):
            image = generator.render(
                edited(studio, point, name, strength, features=features, mask=region)
            )
            tiles.append(Tile(image, f"{name} {strength:+g}, {where}"))
            changes = [
                change(face, start, name)
                for face, start in zip(people(studio, image), before, strict=True)
            ]
            outside = change_where(image, projected.image, mask == 0) if where == "left" else None
            rows.append(
                {
                    "edit": f"{name} {strength:+g}",
                    "where": where,
                    "carried by": features,
                    "left": changes[0],
                    "right": changes[1],
                    "outside": outside,
                }
            )
            if outside is not None:
                findings.append(Finding(f"{name}: change outside the mask", outside, at_most=0.02))
        sheet.row("", *tiles)

    details: dict[str, Any] = {"identity": identities(before, people(studio, target))}
    windows = None if point.companion is None else point.companion.windows
    places = [] if windows is None else windows[0].int().tolist()
    settings = {
        "places of faces": places,
        "steps": STEPS,
        "start": projected.start,
        "edits": EDITS,
        "seed": SEED,
        MAIN: distance,
    }
    return Figure(sheet, rows, findings, settings, details)


def people(studio: Studio, image: Tensor) -> list[Face | None]:
    """The faces in the left and in the right half."""
    return studio.nets.measure(list(image.chunk(2, dim=3)))


def change(face: Face | None, before: Face | None, score: str) -> float | None:
    return None if face is None or before is None else face.scores[score] - before.scores[score]


def identities(found: list[Face | None], wanted: list[Face | None]) -> list[float | None]:
    """Descriptor distances of the projected people from the target's."""
    return [
        None if a is None or b is None else descriptor_distance(a, b)
        for a, b in zip(found, wanted, strict=True)
    ]


def change_where(a: Tensor, b: Tensor, where: Tensor) -> float:
    difference = (a.clamp(-1, 1) - b.clamp(-1, 1)).abs().mean(1, keepdim=True) / 2
    return difference[where].mean().item()


if __name__ == "__main__":
    command(draw)()
