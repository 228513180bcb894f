"""[S] fig. 6.2, continued: five more faces, and the means over all ten

[S] gives ranges over its photographs: 10 to 15 % lower LPIPS after 250 steps, 25 to 35 % lower at
convergence.

Five more generated faces, measured as for the figure before. It is drawn after that one, with the
same defaults, and means are over the pictures of both.
"""

from __future__ import annotations

import json

from projections import defaults_mark
from record import Figure
from studio import DOCS, Studio, command
from two_spaces import IMAGES, Details, two_spaces_figure

from invert.errors import UsageError

FIRST_HALF = DOCS / "fig_6_2.json"


def draw(studio: Studio) -> Figure:
    return two_spaces_figure(studio, IMAGES, None if studio.quick else first_half())


def first_half() -> Details:
    """What figure 6.2 measured. Raises :class:`UsageError` when it is to be drawn first."""
    try:
        record = json.loads(FIRST_HALF.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no {FIRST_HALF}; draw fig_6_2 first") from None
    if record["projected with"] != defaults_mark() or record["quick"]:
        raise UsageError(f"{FIRST_HALF} was drawn with other defaults; draw fig_6_2 again")
    return record["details"]


if __name__ == "__main__":
    command(draw)()
