"""[S] fig. 7.7: equalized styles and features of a long projection into FNW5

[S] repeats fig. 7.6 with a projection that ran to convergence: it has lost what its parts mean, and
equalization makes it worse.

As in [S], without the distribution term (`--dist-weight 0`). The numbers are those of fig. 7.5.
"""

from __future__ import annotations

from equalized import equalized_figure
from record import Figure
from studio import Studio, command

STEPS = 2000


def draw(studio: Studio) -> Figure:
    return equalized_figure(studio, "FNW5", STEPS, grows=False)


if __name__ == "__main__":
    command(draw)()
