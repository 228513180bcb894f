"""[S] fig. 4.3 with landscapes: four of them in one latent of twice the size

[S] lays four sampled churches as points of FNSW5 on one larger set of maps. Here four landscapes of
each generator, 32×32 cells of F_5 and R_5 for a picture of 128 px, where training had 64.

*Edge* as in fig. 4.3. On a plane that `earth-64` samples there is no seam to hide at all
(`invert generate --size`); here four planes meet.
"""

from __future__ import annotations

from typing import Any

from canvases import beside_each_other, corner_canvas, edge_rows
from earth import NETWORK, both, names
from record import Figure
from sheet import Sheet, Tile
from studio import Studio, command

SEEDS = (1, 19, 9, 21)  # left to right, then the next row
SPACE = "FNSW5"
FEATHER = 0.25  # of a picture's side
PSI = 1.0
TILE = 384


def draw(studio: Studio) -> Figure:
    sheet = Sheet(("four pictures side by side", f"one latent of {SPACE}"), TILE)
    studios = both(studio)

    rows: list[dict[str, Any]] = []
    for each in studios:
        generator = each.generator
        points = [each.opened(seed, SPACE, psi=PSI) for seed in SEEDS]
        image = generator.render(corner_canvas(generator, points, FEATHER))
        beside = beside_each_other(generator, points)
        sheet.row(generator.name, Tile(beside), Tile(image))
        found = edge_rows(beside, image, SPACE)
        rows += [{"generator": generator.name, **row} for row in found]

    settings = {"generators": names(studios), "seeds": SEEDS, "feather": FEATHER, "psi": PSI}
    return Figure(sheet, rows, settings=settings)


if __name__ == "__main__":
    command(draw, NETWORK)()
