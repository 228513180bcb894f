"""[S] fig. 6.2: FNW5 and NW+, at equal steps and at convergence

[S] projects photographs into NW+ and FNW5: FNW5 keeps far more detail, the background included, and
has 10 to 15 % lower LPIPS after 250 steps, 25 to 35 % lower at convergence.

The portrait and four generated faces with random noise; both spaces start from the encoder.
Distances are ST-LPIPS with VGG at 256 px, lower is better, the ratio is FNW5 over NW+. The other
distances are in the JSON file.
"""

from __future__ import annotations

from record import Figure
from studio import Studio, command
from two_spaces import two_spaces_figure


def draw(studio: Studio) -> Figure:
    return two_spaces_figure(studio, 0)


if __name__ == "__main__":
    command(draw)()
