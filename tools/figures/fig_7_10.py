"""[S] fig. 7.10 and 7.11: projections into FNW5 with distribution regularization

[S] regularizes styles, F_5 and R_5. Without it long optimization drives F_5 far from what the
generator makes, and edits fail; with it one can optimize long, up to 17.5 % closer (LPIPS) than
without, and still edit.

Numbers as for fig. 7.8. `ffhq-mobile` has no R_5; the next figure has.
"""

from __future__ import annotations

from record import Figure
from regularized import regularized_figure
from studio import Studio, command

IMAGES = 2  # the portrait, then generated faces
STEPS = 2000


def draw(studio: Studio) -> Figure:
    return regularized_figure(studio, IMAGES, "FNW5", STEPS)


if __name__ == "__main__":
    command(draw)()
