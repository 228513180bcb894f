"""Pictures side by side, and a map of where two pictures differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from invert.errors import UsageError
from invert.images.images import to_picture

ERROR_COLOURS = np.array(  # black, violet, red, orange, yellow, white: brighter is always worse
    [(0, 0, 0), (60, 20, 110), (170, 40, 90), (235, 110, 40), (250, 205, 80), (255, 255, 255)]
)


def error_map(
    a: Image.Image | Tensor, b: Image.Image | Tensor, full_scale: float = 0.25
) -> Image.Image:
    """Where two pictures differ, from black (equal) to white (`full_scale` or more).

    The value is mean |a − b| over R, G, B, as a fraction of the whole range. Violet, red, orange
    and yellow lie between black and white at equal distances; colours are linear in the value.
    Raises :class:`UsageError` for pictures of different sizes.
    """
    first, second = to_picture(a).convert("RGB"), to_picture(b).convert("RGB")
    if first.size != second.size:
        raise UsageError(f"expected two pictures of one size, got {first.size} and {second.size}")
    if not full_scale > 0:
        raise UsageError(f"full_scale is {full_scale}, expected more than 0")

    error = np.abs(np.asarray(first, np.float32) - np.asarray(second, np.float32)).mean(-1) / 255

    # Piecewise linear through the colours.
    position = np.clip(error / full_scale, 0, 1) * (len(ERROR_COLOURS) - 1)
    knots = np.arange(len(ERROR_COLOURS))
    channels = [np.interp(position, knots, ERROR_COLOURS[:, c]) for c in range(3)]
    return Image.fromarray((np.stack(channels, axis=-1) + 0.5).astype(np.uint8))


def hstack(images: Sequence[Image.Image | Tensor], gap: int = 0) -> Image.Image:
    """One RGB strip of pictures of equal height, left to right, `gap` white pixels apart."""
    pictures = [to_picture(image) for image in images]
    heights = sorted({picture.height for picture in pictures})
    if len(heights) != 1 or gap < 0:
        raise UsageError(
            f"expected pictures of one height and gap ≥ 0, got heights {heights}, gap {gap}"
        )

    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    strip = Image.new("RGB", (width, heights[0]), "white")
    x = 0
    for picture in pictures:
        strip.paste(picture, (x, 0))
        x += picture.width + gap
    return strip
