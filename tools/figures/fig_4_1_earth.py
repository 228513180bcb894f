"""[S] fig. 4.1 with landscapes: two of them mixed by a mask

[S] samples two points, opens their styles as maps and mixes them under a mask. Here this is done in
the space where each generator samples: F_3, style maps and noise maps of `earth-64` (FNSW3), style
maps and noise maps of `earth-64-plain` (NSW+).

Numbers as for fig. 4.1, where they are measured at 256 px; here it is 64 px. Training never showed
coasts or borders as straight as a hard mask, so some of its edge stays.
"""

from __future__ import annotations

from typing import Any

from earth import NETWORK, both, names
from mixtures import FEATHER, WHERE, Mixtures
from record import Figure
from sheet import Sheet
from studio import Studio, command

SPACES = ("FNSW3", "NSW+")  # of earth-64, of earth-64-plain
SHOWN = ((1, 19, "right"), (41, 9, "below"))  # seeds of a and b, where b is
PAIRS = tuple((seed, seed + 1) for seed in range(3000, 3032, 2))
PSI = 1.0
TILE = 160


def draw(studio: Studio) -> Figure:
    columns = ["landscape a", "landscape b"]
    columns += [f"{of}, {m} mask" for m in ("hard", "soft") for of in ("pixels", "space")]
    sheet = Sheet(columns, TILE)
    studios = both(studio)

    rows: list[dict[str, Any]] = []
    for each, space in zip(studios, SPACES, strict=True):
        mixtures = Mixtures(each, space, PSI)
        name = each.generator.name
        for first, second, where in SHOWN:
            label = f"{name}, {space}: seeds {first} and {second}, b {where}"
            sheet.row(label, *mixtures.add(first, second, where))
        for first, second in PAIRS[: studio.count(len(PAIRS))]:
            for where in WHERE:
                mixtures.add(first, second, where)
        rows += [{"generator": name, **row} for row in mixtures.rows()]

    settings = {
        "generators": names(studios),
        "shown": SHOWN,
        "pairs": PAIRS[: studio.count(len(PAIRS))],
        "feather": FEATHER,
        "psi": PSI,
    }
    return Figure(sheet, rows, settings=settings)


if __name__ == "__main__":
    command(draw, NETWORK)()
