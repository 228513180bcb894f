"""[S] fig. 4.3: four faces in one latent of twice the size

[S] lays four sampled churches as points of FNSW5 on one larger set of maps, with a soft mask
between them, and renders a picture of twice the width and height from that single latent.

Here four faces: 32×32 cells of F_5, a 2048 px image, which this generator never made in training.
*Edge* as in fig. 4.1 for the cross where the four meet, beside that of the four pictures put side
by side.
"""

from __future__ import annotations

import torch
from record import Figure
from seams import step_ratio
from sheet import Sheet, Tile
from studio import Studio, command

from edits.canvas import Placement, place
from invert.latents.spaces import Space

SEEDS = (0, 25, 35, 75)  # left to right, then the next row
SPACE = "FNSW5"
FEATHER = 0.25  # of a face's side
TILE = 640


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    side = generator.resolution
    points = [studio.opened(seed, SPACE) for seed in SEEDS]

    # Four points on one canvas of twice the size.
    cells = generator.layer(Space.parse(SPACE).first).size
    corners = [(x, y) for y in (0, cells) for x in (0, cells)]
    placements = [Placement(point, at) for point, at in zip(points, corners, strict=True)]
    canvas = place(generator, (2 * cells, 2 * cells), placements, feather=FEATHER * side)
    image = generator.render(canvas)

    # The four pictures, to compare with.
    plain = [generator.render(point) for point in points]
    beside = torch.cat([torch.cat(plain[:2], 3), torch.cat(plain[2:], 3)], 2)

    # The edges where the four meet: between light and dark fields.
    checks = torch.zeros(1, 1, 2 * side, 2 * side)
    checks[..., :side, side:] = checks[..., side:, :side] = 1
    rows = [
        {"picture": name, "size": f"{x.shape[3]}x{x.shape[2]} px", "edge": step_ratio(x, checks)}
        for name, x in (("four pictures side by side", beside), (f"one latent of {SPACE}", image))
    ]

    sheet = Sheet(
        (
            "four pictures side by side",
            f"one latent of {SPACE}, {image.shape[3]} x {image.shape[2]} px",
        ),
        TILE,
    )
    sheet.row("", Tile(beside), Tile(image))
    return Figure(sheet, rows, settings={"seeds": SEEDS, "feather": FEATHER, "psi": 0.7})


if __name__ == "__main__":
    command(draw)()
