"""[S] fig. 7.8 and 7.9: projections into NW+ with distribution regularization

[S] adds eq. 7.2 to the loss. The styles come out distributed as generated ones (Wasserstein
distance 0.053, a generated w has 0.047), at the same perceptual quality, and react more strongly to
edits: without it glasses did not appear at all.

λ is `--dist-weight`. Columns are as in fig. 7.5; "equal" LPIPS means at most 5 % more than without
the regularizer.
"""

from __future__ import annotations

from record import Figure
from regularized import regularized_figure
from studio import Studio, command

IMAGES = 1  # the portrait, then generated faces
STEPS = 600


def draw(studio: Studio) -> Figure:
    return regularized_figure(studio, IMAGES, "NW+", STEPS)


if __name__ == "__main__":
    command(draw)()
