"""[S] fig. 4.2: a face becomes another one under a travelling mask

[S] moves the mask of fig. 4.1 over the picture and shows a spatial transition from one face to the
other, from left to right and from top to bottom, with every picture on the way believable.

*Elsewhere*: how far the pictures on the way differ, more than the mask's soft edge away from it,
from the face that should be there, as a fraction of the range; beside it the same for the plain
interpolation of both latents, which has no place. *Evenness*: the largest perceptual step between
neighbouring pictures over the mean step.
"""

from __future__ import annotations

from record import Figure
from sheet import Sheet
from studio import Studio, command
from travels import FRAMES, travel_row

from edits.style_mixing import Travel

SHOWN: tuple[tuple[int, int, Travel], ...] = ((9, 64, "right"), (54, 75, "down"))
TILE = 200


def draw(studio: Studio) -> Figure:
    sheet = Sheet(tile=TILE)
    rows = []
    for first, second, travel in SHOWN:
        a, b = (studio.opened(seed, "NSW+") for seed in (first, second))
        rows.append(travel_row(studio, sheet, f"seeds {first} to {second}", a, b, travel))
    return Figure(sheet, rows, settings={"shown": SHOWN, "frames": FRAMES, "psi": 0.7})


if __name__ == "__main__":
    command(draw)()
