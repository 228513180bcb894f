"""[S] fig. 7.6: equalized styles and features of a short projection into FNW5

[S] equalizes styles, F_5 and R_5, each against its own distribution, of a projection that ran for
250 steps. Picture and response change much less than in fig. 7.5: the short projection is closer to
what the generator makes (Wasserstein distance of the styles 0.159, in NW+ 0.578).

As in [S], without the distribution term (`--dist-weight 0`). The numbers are those of fig. 7.5.
`ffhq-mobile` has no R_5; fig. 7.10 with a landscape has.
"""

from __future__ import annotations

from equalized import equalized_figure
from record import Figure
from studio import Studio, command

STEPS = 200


def draw(studio: Studio) -> Figure:
    return equalized_figure(studio, "FNW5", STEPS, grows=False)


if __name__ == "__main__":
    command(draw)()
