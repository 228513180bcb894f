"""[S] fig. 4.1: two faces mixed by a mask, in pixels and in NSW+

[S] states that a mixture of style maps and noise maps under a mask aligns parts like mouths and
noses, and passes from one face to the other in a believable way, where a mixture of pixels shows an
edge or a double exposure; and that fine styles, which hold the colours, want a smoother mask than
coarse ones.

Two numbers, over pairs of generated faces and masks that part them left/right and top/bottom.
*Edge*: the step from pixel to pixel across the edge of a hard mask over that a little further away
(1: no edge). *Detail*: fine detail where a soft mask is half-way, over the mean of both faces' own
there (1: a picture in its own right; a double exposure has less). `invert mix` smooths masks by
layer by itself.
"""

from __future__ import annotations

from mixtures import FEATHER, WHERE, Mixtures, masks
from record import Figure
from sheet import Sheet
from studio import Studio, command

SHOWN = ((0, 20, "right"), (51, 22, "below"))  # seeds of a and b, where b is
PAIRS = tuple((seed, seed + 1) for seed in range(3000, 3016, 2))


def draw(studio: Studio) -> Figure:
    sheet = Sheet(
        (
            "face a",
            "face b",
            "pixels, hard mask",
            "NSW+, hard mask",
            "pixels, soft mask",
            "NSW+, soft mask",
        )
    )
    mixtures = Mixtures(studio, "NSW+")

    for first, second, where in SHOWN:
        sheet.row(f"seeds {first} and {second}, b {where}", *mixtures.add(first, second, where))
    shown = [
        2 * mask.expand(-1, 3, -1, -1) - 1 for mask in masks(studio.generator.resolution, "right")
    ]
    sheet.row("masks of the first row", None, None, shown[0], shown[0], shown[1], shown[1])

    pairs = PAIRS[: studio.count(len(PAIRS))]
    for first, second in pairs:
        for where in WHERE:
            mixtures.add(first, second, where)
    settings = {
        "shown": SHOWN,
        "pairs": pairs,
        "feather": FEATHER,
        "mixtures": len(mixtures),
        "psi": 0.7,
    }
    return Figure(sheet, mixtures.rows(), settings=settings)


if __name__ == "__main__":
    command(draw)()
