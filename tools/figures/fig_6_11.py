"""[S] fig. 6.11: the same without the last two styles

[S] leaves the last two style vectors out of the mixture of fig. 6.10: they hold the colours, which
then stay the first face's.

*Colour*: the difference of mean colours under the mask, mixture against a, as a fraction of the
range.
"""

from __future__ import annotations

from statistics import mean

from face_swaps import FEATHER, OVAL, STEPS, colour_distance, oval, pairs, swapped
from record import Figure, Finding
from sheet import Sheet, Tile
from studio import Studio, command

KEPT = (0, 2)


def draw(studio: Studio) -> Figure:
    mask = oval(studio.generator.resolution)
    sheet = Sheet(
        (
            "a, projected",
            "b, projected",
            *(f"last {k} styles of a kept" if k else "all mixed" for k in KEPT),
        )
    )

    # Each pair with none and with some of a's last styles kept.
    rows = []
    distances: dict[int, list[float]] = {k: [] for k in KEPT}
    for pair in pairs(studio):
        a, b = pair.pictures
        pictures = {k: swapped(studio, pair, keep_styles=k) for k in KEPT}
        for k, picture in pictures.items():
            distances[k].append(colour_distance(picture, a, mask))
        tiles = [Tile(picture, f"colour {distances[k][-1]:.3f}") for k, picture in pictures.items()]
        sheet.row(f"{pair.names[0]} with the middle of {pair.names[1]}", a, b, *tiles)
        values = {f"colour, {k} kept": distances[k][-1] for k in KEPT}
        rows.append(
            {
                "a": pair.names[0],
                "b": pair.names[1],
                "colour of b": colour_distance(b, a, mask),
                **values,
            }
        )

    ratio = mean(distances[KEPT[1]]) / mean(distances[KEPT[0]])
    finding = Finding(
        "colour difference from a with two styles kept, over that with none", ratio, at_most=1
    )
    return Figure(
        sheet, rows, [finding], {"steps": STEPS, "kept": KEPT, "oval": OVAL, "feather": FEATHER}
    )


if __name__ == "__main__":
    command(draw)()
