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

from statistics import mean

import torch
from record import Figure
from seams import detail_ratio, step_ratio
from sheet import Sheet
from studio import Studio, command
from torch import Tensor

from edits.masks import feathered
from edits.mixer import mix

SHOWN = ((0, 20, "right"), (51, 22, "below"))  # seeds of a and b, where b is
PAIRS = tuple((seed, seed + 1) for seed in range(3000, 3016, 2))
FEATHER = 0.35  # of the side: width of the soft mask's ramp


def half(side: int, where: str) -> Tensor:
    """The mask [1, 1, side, side] that is 1 in the right or the lower half."""
    mask = torch.zeros(1, 1, side, side)
    middle = side // 2
    mask[..., middle:, :] = 1
    return mask if where == "below" else mask.transpose(2, 3)


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    side = generator.resolution
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
    values: dict[str, list[float]] = {}

    def mixtures(first: int, second: int, where: str) -> list[Tensor]:
        """The six pictures of a row; their numbers go into the table."""
        x, y = (studio.opened(seed, "NSW+") for seed in (first, second))
        a, b = (generator.render(point).clamp(-1, 1) for point in (x, y))
        hard = half(side, where)
        soft = feathered(hard, FEATHER * side)
        row = [a, b]
        for mask in (hard, soft):
            row += [
                torch.lerp(a, b, mask.expand_as(a)),
                generator.render(mix(generator, x, y, mask)),
            ]
        for name, in_pixels, in_space in (("pixels", row[2], row[4]), ("NSW+", row[3], row[5])):
            values.setdefault(f"{name} edge", []).append(step_ratio(in_pixels, hard))
            values.setdefault(f"{name} detail", []).append(detail_ratio(in_space, a, b, soft))
        return row

    for first, second, where in SHOWN:
        sheet.row(f"seeds {first} and {second}, b {where}", *mixtures(first, second, where))
    hard = half(side, "right")
    masks = [2 * m.expand(-1, 3, -1, -1) - 1 for m in (hard, feathered(hard, FEATHER * side))]
    sheet.row("masks of the first row", None, None, masks[0], masks[0], masks[1], masks[1])
    pairs = PAIRS[: studio.count(len(PAIRS))]
    for first, second in pairs:
        for where in ("right", "below"):
            mixtures(first, second, where)
    rows = [
        {
            "mixed in": name,
            "edge, hard mask": mean(values[f"{name} edge"]),
            "detail, soft mask": mean(values[f"{name} detail"]),
        }
        for name in ("pixels", "NSW+")
    ]
    settings = {
        "shown": SHOWN,
        "pairs": pairs,
        "feather": FEATHER,
        "mixtures": len(values["NSW+ edge"]),
        "psi": 0.7,
    }
    return Figure(sheet, rows, settings=settings)


if __name__ == "__main__":
    command(draw)()
