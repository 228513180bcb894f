"""[S] fig. 6.3 with a landscape: a piece of the Blue Marble moved by 8 and 16 px

[S] finds that FNW5 follows when an image is moved, and that NW+ gives unnatural pictures even for
small shifts. A landscape has no place where it belongs: training shows every part of the Earth
anywhere in the picture, so NW+ should mind less than with faces.

`examples/land.png`, moved right by an eighth and a quarter of the picture; what comes in is what
lies there. `earth-64` has one stored draw of F_3 in NW+, so the layout of its pictures is fixed.
Distances are ST-LPIPS and LPIPS, both with VGG, after equal steps.
"""

from __future__ import annotations

from typing import Any

from earth import NETWORK, both, land, names
from record import Figure, Finding
from sheet import Sheet, Tile
from studio import LPIPS, MAIN, Studio, command

SPACES = ("NW+", "FNW5")
SHIFTS = (0, 8, 16)
STEPS = 60
TILE = 160


def draw(studio: Studio) -> Figure:
    sheet = Sheet([f"moved by {pixels} px" for pixels in SHIFTS], TILE)
    sheet.row("land.png", *(land(studio, moved=pixels) for pixels in SHIFTS))
    studios = both(studio)

    rows: list[dict[str, Any]] = []
    findings = []
    for each in studios:
        for space in SPACES:
            name = f"{each.generator.name}, {space}"

            # The same space with every shift.
            tiles: list[Tile] = []
            values: dict[str, dict[int, float]] = {MAIN: {}, LPIPS: {}}
            for pixels in SHIFTS:
                target = land(each, moved=pixels)
                projected = each.project(target, space, STEPS)
                measured = each.measured(projected, target)
                for distance, of in values.items():
                    of[pixels] = measured[distance]
                tiles.append(Tile(projected.image, f"{MAIN} {measured[MAIN]:.3f}"))
            sheet.row(f"{name}, {STEPS} steps", *tiles)

            # The distance against that without a shift.
            for distance, of in values.items():
                columns = {f"{pixels} px": value for pixels, value in of.items()}
                facts = {"generator": each.generator.name, "space": space, "distance": distance}
                rows.append({**facts, **columns})
                for pixels in SHIFTS[1:]:
                    what = f"{name}, {pixels} px: relative change of {distance}"
                    findings.append(Finding(what, of[pixels] / of[0] - 1))
    settings = {"generators": names(studios), "steps": STEPS, "shifts": SHIFTS}
    return Figure(sheet, rows, findings, settings)


if __name__ == "__main__":
    command(draw, NETWORK)()
