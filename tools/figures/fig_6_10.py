"""[S] fig. 6.10: the middle of one face in another

[S] opens projections into FNW5 as FNSW5 and mixes them with a mask over the middle of the face.

*To a*, *to b*: distances of the mixture's face descriptor from those of the two projections; under
0.6 two pictures usually show one person. *Outside*: mean absolute difference from a where the mask
is 0, as a fraction of the range.
"""

from __future__ import annotations

from face_swaps import FEATHER, OVAL, STEPS, oval, pairs, swapped
from faces import descriptor_distance
from record import Figure
from sheet import Sheet
from studio import Studio, command


def draw(studio: Studio) -> Figure:
    mask = oval(studio.generator.resolution)
    sheet = Sheet(("a, projected", "b, projected", "mixed in FNSW5", "mixed in pixels"))
    rows = []

    for pair in pairs(studio):
        a, b = pair.pictures
        mixed = swapped(studio, pair, keep_styles=0)
        sheet.row(
            f"{pair.names[0]} with the middle of {pair.names[1]}", a, b, mixed, a + mask * (b - a)
        )

        # Whose face it is, and what changed outside the oval.
        of_a, of_b, of_mixed = studio.nets.measure([a, b, mixed])
        outside = (mixed - a).abs().mean(1, keepdim=True)[mask == 0].mean().item() / 2
        rows.append(
            {
                "a": pair.names[0],
                "b": pair.names[1],
                "to a": None
                if of_a is None or of_mixed is None
                else descriptor_distance(of_a, of_mixed),
                "to b": None
                if of_b is None or of_mixed is None
                else descriptor_distance(of_b, of_mixed),
                "outside": outside,
            }
        )
    return Figure(sheet, rows, settings={"steps": STEPS, "oval": OVAL, "feather": FEATHER})


if __name__ == "__main__":
    command(draw)()
