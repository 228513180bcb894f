"""[S] fig. 6.5: one projection becomes another under a travelling mask

[S] opens projections into FNW5 as FNSW5 and moves a mask over them: features, style maps and noise
are mixed, and faces that were never sampled pass into each other.

The numbers are those of fig. 4.2.
"""

from __future__ import annotations

from record import Figure
from sheet import Sheet
from studio import Studio, command
from targets import faces
from travels import FRAMES, travel_row

from edits.style_mixing import Travel

STEPS = 200
# numbers of the images
PAIRS: tuple[tuple[int, int, Travel], ...] = ((0, 1, "right"), (2, 0, "down"))
TILE = 200


def draw(studio: Studio) -> Figure:
    images = faces(studio.generator, 3)
    names = list(images)
    points = [
        studio.generator.convert(studio.project(i, "FNW5", STEPS).latent, "FNSW5")
        for i in images.values()
    ]

    sheet = Sheet(tile=TILE)
    rows = [
        {
            "from": names[a],
            "to": names[b],
            **travel_row(studio, sheet, f"{names[a]} to {names[b]}", points[a], points[b], t),
        }
        for a, b, t in PAIRS
    ]
    return Figure(sheet, rows, settings={"steps": STEPS, "frames": FRAMES})


if __name__ == "__main__":
    command(draw)()
