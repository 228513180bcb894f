"""[S] fig. 7.5: equalized styles of a projection into NW+

[S] moves the values of a projection's styles towards the distribution of W, their order kept, and
edits the result with one strength. The further it is moved the less it looks like the photograph,
but the more natural, and the stronger it reacts to edits.

*Response*: the change of a score from −s to +s over that of generated faces (1: reacts as they do);
"all" is the mean over smile, glasses, age and yaw, "pixels" the same for the mean absolute change
of the picture.
"""

from __future__ import annotations

from equalized import equalized_figure
from record import Figure
from studio import Studio, command

STEPS = 600


def draw(studio: Studio) -> Figure:
    return equalized_figure(studio, "NW+", STEPS, grows=True)


if __name__ == "__main__":
    command(draw)()
