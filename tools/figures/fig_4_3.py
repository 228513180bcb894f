"""[S] fig. 4.3: four faces in one latent of twice the size

[S] lays four sampled churches as points of FNSW5 on one larger set of maps, with a soft mask
between them, and renders a picture of twice the width and height from that single latent.

Here four faces: 32×32 cells of F_5, a 2048 px image, which this generator never made in training.
*Edge* as in fig. 4.1 for the cross where the four meet, beside that of the four pictures put side
by side.
"""

from __future__ import annotations

from canvases import beside_each_other, corner_canvas, edge_rows
from record import Figure
from sheet import Sheet, Tile
from studio import Studio, command

SEEDS = (0, 25, 35, 75)  # left to right, then the next row
SPACE = "FNSW5"
FEATHER = 0.25  # of a face's side
TILE = 640


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    points = [studio.opened(seed, SPACE) for seed in SEEDS]
    image = generator.render(corner_canvas(generator, points, FEATHER))
    beside = beside_each_other(generator, points)

    sheet = Sheet(
        (
            "four pictures side by side",
            f"one latent of {SPACE}, {image.shape[3]} x {image.shape[2]} px",
        ),
        TILE,
    )
    sheet.row("", Tile(beside), Tile(image))
    rows = edge_rows(beside, image, SPACE)
    return Figure(sheet, rows, settings={"seeds": SEEDS, "feather": FEATHER, "psi": 0.7})


if __name__ == "__main__":
    command(draw)()
