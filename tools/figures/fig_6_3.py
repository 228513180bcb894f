"""[S] fig. 6.3: a photograph moved by 50 and 100 px

[S] projects an image and the same image moved aside: FNW5 follows the shift, while in NW+, which
knows faces only where training had them, even a small one gives an unnatural picture.

The portrait is moved right, its left border drawn out. Distances are ST-LPIPS and LPIPS,
both with VGG, at 256 px after equal steps.
"""

from __future__ import annotations

from record import Figure, Finding
from sheet import Sheet, Tile
from studio import LPIPS, MAIN, Studio, command
from targets import portrait, shifted

SPACES = ("NW+", "FNW5")
SHIFTS = (0, 50, 100)
STEPS = 200


def draw(studio: Studio) -> Figure:
    image = portrait(studio.generator)
    targets = {pixels: shifted(image, pixels) for pixels in SHIFTS}
    sheet = Sheet([f"moved by {pixels} px" for pixels in SHIFTS])
    sheet.row("photograph", *targets.values())

    # Each space with every shift.
    rows, findings = [], []
    for space in SPACES:
        tiles: list[Tile] = []
        values: dict[str, dict[int, float]] = {MAIN: {}, LPIPS: {}}
        for pixels, target in targets.items():
            projected = studio.project(target, space, STEPS)
            measured = studio.measured(projected, target)
            for distance, of in values.items():
                of[pixels] = measured[distance]
            tiles.append(Tile(projected.image, f"{MAIN} {measured[MAIN]:.3f}"))
        sheet.row(f"{space}, {STEPS} steps", *tiles)

        # The distance against that without a shift.
        for distance, of in values.items():
            columns = {f"{pixels} px": value for pixels, value in of.items()}
            rows.append({"space": space, "distance": distance, **columns})
            for pixels in SHIFTS[1:]:
                what = f"{space}, {pixels} px: relative change of {distance}"
                limit = 0.1 if space == "FNW5" else None
                findings.append(Finding(what, of[pixels] / of[0] - 1, at_most=limit))
    return Figure(sheet, rows, findings, {"steps": STEPS, "shifts": SHIFTS})


if __name__ == "__main__":
    command(draw)()
