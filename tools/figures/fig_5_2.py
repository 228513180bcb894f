"""[S] fig. 5.2: three eyes and eyes on the forehead

[S] moves, crops and mixes points of FNSW5 so that two faces share one eye, or a second pair of eyes
lies on the forehead, and then edits them with attribute models: eyes that were added close with the
others, and glasses become glasses for three. So F_5 and the style maps keep what a part *is*,
wherever it lies.

The first row is mixed on canvases of cells of F_5 (64 px each); a) and b) are 20 cells wide. The
rows below are edits of that one latent by attribute models, which need no companion. *Share*: how
much the added eyes change, in pixels, relative to those that the face had.
"""

from __future__ import annotations

from editing import edited, has_model
from record import Figure
from sheet import Sheet, Tile
from studio import Studio, command
from torch import Tensor

from edits.canvas import Placement, place
from edits.cropping import Box
from edits.style_mixing import interpolate
from invert.generator import Generator
from invert.latents.latent import Latent

SPACE = "FNSW5"
THREE_EYES = {"a": (0, 71), "b": (51, 47)}  # seeds of the left and the right face
# seeds whose eyes are averaged; seeds of the face and of the eyes
FOREHEAD = {"c": (30, 18), "d": (64, 35)}
EYE_DISTANCE = 4  # cells of F_5 between the eyes of an aligned face
FROM_EYE = 10  # column of the right eye, in which the second face begins
EYES: Box = (4, 6, 8, 3)
EYES_AND_NOSE: Box = (4, 6, 8, 4)
ON_FOREHEAD = (4, 3)
EDITS = (("eyes-open", -3.0), ("glasses", 3.0))
OWN, ADDED = "own", "added"


def three_eyes(generator: Generator, left: Latent, right: Latent) -> Latent:
    """Two faces whose inner eyes are one, on a canvas wider by the distance of the eyes."""
    crop = (FROM_EYE - EYE_DISTANCE, 0, 16 - (FROM_EYE - EYE_DISTANCE), 16)
    placements = [Placement(left), Placement(right, (FROM_EYE, 0), crop)]
    return place(generator, (16 + EYE_DISTANCE, 16), placements)


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    cell = generator.cell(SPACE)
    points: dict[str, Latent] = {}
    boxes: dict[str, dict[str, Box]] = {}  # of eyes in cells

    # Three eyes: two faces side by side that share one.
    for name, seeds in THREE_EYES.items():
        points[name] = three_eyes(generator, *(studio.opened(seed, SPACE) for seed in seeds))
        boxes[name] = {OWN: (5, 6, 2, 3), ADDED: (13, 6, 2, 3)}

    # Eyes on a forehead, of another face or of a mixture.
    for name, seeds in FOREHEAD.items():
        face, other = (studio.opened(seed, SPACE) for seed in seeds)
        eyes = interpolate(generator, face, other, 0.5) if name == "c" else other
        crop = EYES if name == "c" else EYES_AND_NOSE
        placements = [
            Placement(face),
            Placement(eyes, (ON_FOREHEAD[0], ON_FOREHEAD[1] - (crop[3] - 3)), crop),
        ]
        points[name] = place(generator, (16, 16), placements, feather=cell)
        boxes[name] = {OWN: EYES, ADDED: (*placements[1].at, 8, 3)}

    sheet = Sheet(
        [f"{name}: seeds {a} and {b}" for name, (a, b) in {**THREE_EYES, **FOREHEAD}.items()]
    )
    before = {name: generator.render(point) for name, point in points.items()}
    sheet.row(f"mixed in {SPACE}", *before.values())
    rows = []

    # Each edit changes the added eyes as much as the face's own, if the share is 1.
    for direction, strength in EDITS:
        if has_model(studio, direction, SPACE):
            tiles, shares = [], {}
            for name, point in points.items():
                after = generator.render(
                    edited(studio, point, direction, strength, features="model")
                )
                tiles.append(Tile(after))
                change = {
                    part: change_in(before[name], after, box, cell)
                    for part, box in boxes[name].items()
                }
                shares[name] = change[ADDED] / change[OWN]
            sheet.row(f"{direction} {strength:+g}", *tiles)
            rows.append(
                {
                    "edit": f"{direction} {strength:+g}",
                    **{f"share, {name}": s for name, s in shares.items()},
                }
            )

    settings = {
        "three eyes": THREE_EYES,
        "forehead": FOREHEAD,
        "psi": 0.7,
        "edits": EDITS if rows else [],
    }
    return Figure(sheet, rows, settings=settings)


def change_in(before: Tensor, after: Tensor, box: Box, cell: int) -> float:
    """Mean absolute difference inside a box of cells of `cell` pixels."""
    x, y, w, h = (cell * value for value in box)
    return (before - after)[..., y : y + h, x : x + w].abs().mean().item()


if __name__ == "__main__":
    command(draw)()
