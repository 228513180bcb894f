"""The small generators of landscapes that come with the package, and a picture for them.

`earth-64` starts from a sampled F_3 ([S] chapter 8), `earth-64-plain` from a constant. Both have an
RGB sum, so their F spaces have R_i, and they are small: their figures take minutes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio import Studio
from torch import Tensor

from invert.images.images import read_image, to_tensor

NETWORK, PLAIN = "earth-64", "earth-64-plain"
LAND = Path(__file__).resolve().parents[2] / "examples" / "land.png"


def both(studio: Studio) -> tuple[Studio, Studio]:
    """The studio, whose generator is `earth-64`, and that of `earth-64-plain`."""
    return studio, studio.beside(PLAIN)


def names(studios: tuple[Studio, ...]) -> dict[str, Any]:
    """For the record: the generators by name."""
    return {s.generator.name: s.generator.fingerprint[:16] for s in studios}


def land(studio: Studio, *, moved: int = 0) -> Tensor:
    """The middle of the example picture at the generator's size, [1, 3, R, R].

    Its content is moved right by some pixels, and what comes in is what lies there.
    """
    picture, side = read_image(LAND), studio.generator.resolution
    left, top = (picture.width - side) // 2 - moved, (picture.height - side) // 2
    return to_tensor(picture.crop((left, top, left + side, top + side)))
