"""[S] fig. 6.3: a photograph moved by 50 and 100 px

[S] projects an image and the same image moved aside: FNW5 follows the shift, while in NW+, which
knows faces only where training had them, even a small one gives an unnatural picture.

The portrait is moved right, its left border drawn out. Distances are ST-LPIPS with VGG at 256 px
after equal steps.
"""

from __future__ import annotations

from record import Figure, Finding
from sheet import Sheet, Tile
from studio import DISTANCES, Studio, command
from targets import portrait, shifted

SPACES = ("NW+", "FNW5")
SHIFTS = (0, 50, 100)
STEPS = 200
MAIN = DISTANCES[0]


def draw(studio: Studio) -> Figure:
    image = portrait(studio.generator)
    targets = {pixels: shifted(image, pixels) for pixels in SHIFTS}
    sheet = Sheet([f"moved by {pixels} px" for pixels in SHIFTS])
    sheet.row("photograph", *targets.values())

    # Each space with every shift.
    rows, findings = [], []
    for space in SPACES:
        tiles, values = [], {}
        for pixels, target in targets.items():
            projected = studio.project(target, space, STEPS)
            values[pixels] = studio.measured(projected, target)[MAIN]
            tiles.append(Tile(projected.image, f"{MAIN} {values[pixels]:.3f}"))
        sheet.row(f"{space}, {STEPS} steps", *tiles)
        rows.append({"space": space, **{f"{pixels} px": value for pixels, value in values.items()}})

        # The distance against that without a shift.
        for pixels in SHIFTS[1:]:
            change = values[pixels] / values[0] - 1
            limit = 0.1 if space == "FNW5" else None
            findings.append(
                Finding(f"{space}, {pixels} px: relative change of {MAIN}", change, at_most=limit)
            )
    return Figure(sheet, rows, findings, {"steps": STEPS, "shifts": SHIFTS})


if __name__ == "__main__":
    command(draw)()
