"""A latent's picture, put back into the photograph that it was cut from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from invert.errors import UsageError
from invert.images.alignment import Square
from invert.images.images import area_downscale, to_pil, to_tensor

FEATHER = 0.08  # of the square's side, over which the photograph gives way to the picture


def paste(
    photograph: Image.Image, picture: Tensor, facts: Mapping[str, Any], feather: float = FEATHER
) -> Image.Image:
    """The RGB photograph with the picture [1, 3, H, W] in the square that it was cut from.

    `facts` is "image" of `NAME.json`, which says where that is. The picture fades in over `feather`
    times the square's side, inwards; outside the square no pixel changes. Raises
    :class:`UsageError` for a photograph of another size, and for facts that do not say where.
    """
    square = square_of(facts)
    if (size := list(photograph.size)) != facts.get("size"):
        raise UsageError(
            f"the picture was cut from a photograph of the size {facts.get('size')}, "
            f"this one has {size}"
        )

    # The upright box around the square.
    xs, ys = zip(*square.corners, strict=True)
    left, top = max(0, int(min(xs))), max(0, int(min(ys)))
    right, bottom = (
        min(photograph.width, int(max(xs)) + 1),
        min(photograph.height, int(max(ys)) + 1),
    )
    if left >= right or top >= bottom:
        raise UsageError("the square that the latent names lies outside the photograph")

    # Each pixel of the box samples the picture, reduced to about the size that it has there.
    across, down = cut_shape(facts)
    positions = positions_in(square, (left, top, right, bottom)) / torch.tensor(
        [across, down], dtype=torch.float32
    )
    smaller = area_downscale(picture.float().cpu(), max(1, round(square.side * min(across, down))))
    pasted = F.grid_sample(smaller, positions[None], "bicubic", "border", align_corners=False)

    # Weight sin²(π d / 2), d the distance from the square's border in units of the feather.
    inside = (1 - positions.abs().amax(-1)) / max(2 * feather, 1e-6)
    weight = torch.sin(inside.clamp(0, 1) * (torch.pi / 2)).square()
    before = to_tensor(photograph.crop((left, top, right, bottom)))
    result = photograph.copy()
    result.paste(to_pil(torch.lerp(before, pasted.clamp(-1, 1), weight))[0], (left, top))
    return result


def square_of(facts: Mapping[str, Any]) -> Square:
    """The square that was cut, or the one around the rectangle, in pixels of the photograph.

    Raises :class:`UsageError` where there is none.
    """
    try:
        if "face" in facts:
            corners = [complex(x, y) for x, y in facts["face"]["corners"]]
            centre, right = (
                sum(corners) / 4,
                (corners[1] + corners[2] - corners[0] - corners[3]) / 4,
            )

        else:
            x, y, width, *rest = facts["crop"]
            (height,) = rest or (width,)
            centre, right = complex(x + width / 2, y + height / 2), complex(max(width, height) / 2)
            if min(width, height) <= 0:
                right = complex(0)

        if 0 < abs(right) < math.inf and math.isfinite(abs(centre)):
            return Square((centre.real, centre.imag), (right.real, right.imag))
    except (KeyError, TypeError, ValueError, IndexError):
        pass
    raise UsageError(
        "the latent does not say where it was cut from a photograph, so it cannot go back there"
    )


def cut_shape(facts: Mapping[str, Any]) -> tuple[float, float]:
    """Width and height of the cut, as shares of the longer one; (1, 1) for squares and faces."""
    if "face" in facts or len(facts["crop"]) == 3:
        return 1.0, 1.0
    width, height = facts["crop"][2:]
    return width / max(width, height), height / max(width, height)


def positions_in(square: Square, box: tuple[int, int, int, int]) -> Tensor:
    """Positions [height, width, 2] of a box's pixels in a square: (x, y), ±1 at its sides."""
    left, top, right, bottom = box
    rows, columns = (
        torch.arange(first, stop, dtype=torch.float32) + 0.5
        for first, stop in ((top, bottom), (left, right))
    )
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    x, y = x - square.centre[0], y - square.centre[1]
    (dx, dy), length = square.right, (square.side / 2) ** 2
    return torch.stack([x * dx + y * dy, y * dx - x * dy], -1) / length
