"""Which part of a picture is taken: squares, rectangles, and canvases of whole cells."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from invert.errors import UsageError

NICKNAMES = {  # what others call "centre" and "face"
    **dict.fromkeys(("center", "centered", "centred", "middle", "square"), "centre"),
    **dict.fromkeys(("align", "aligned", "ffhq", "auto"), "face"),
}


def square_crop(
    image: Image.Image, box: tuple[float, float, float] | None = None
) -> tuple[float, float, float]:
    """(x, y, side) in pixels: the largest centred square, or `box` if it lies inside the image.

    Raises :class:`UsageError` for a box that is not finite, is empty or leaves the image.
    """
    if box is None:
        side = min(image.size)
        return (image.width - side) / 2, (image.height - side) / 2, float(side)
    checked_box(image, box)
    return box


def crop_to(image: Image.Image, box: Sequence[float], size: tuple[int, int]) -> Image.Image:
    """The part `box` of the image resampled to `size` (width, height).

    `box` is (x, y, side) or (x, y, width, height) in pixels, fractions allowed. Lanczos where it
    shrinks, bicubic where it enlarges; a whole-pixel box at its own size is an exact copy. Raises
    :class:`UsageError`.
    """
    if min(size) < 1:
        raise UsageError(f"size is {size[0]}×{size[1]}, expected at least 1×1")
    left, top, right, bottom = checked_box(image, box)
    shrinks = right - left > size[0] or bottom - top > size[1]
    method = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    return image.resize(size, method, box=(left, top, right, bottom))


def checked_box(image: Image.Image, box: Sequence[float]) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of a box; :class:`UsageError` unless it lies inside the image."""
    if len(box) not in (3, 4) or not all(math.isfinite(v) for v in box):
        raise UsageError(f"crop is {tuple(box)}, expected finite x,y,side or x,y,width,height")

    x, y, width, height = box[0], box[1], box[2], box[-1]
    slack = 1e-6 * max(image.size)  # rounding of whoever computed the box
    if not (
        width > 0
        and height > 0
        and min(x, y) >= -slack
        and x + width <= image.width + slack
        and y + height <= image.height + slack
    ):
        raise UsageError(
            f"crop {', '.join(f'{v:g}' for v in box)} leaves the image or is empty, expected it "
            f"inside {image.width}×{image.height} px; choose a smaller one"
        )

    return max(x, 0.0), max(y, 0.0), min(x + width, image.width), min(y + height, image.height)


def crop_to_multiple(
    image: Image.Image, multiple: tuple[int, int] | int, max_side: int | None = None
) -> Image.Image:
    """The largest centred crop whose sides are multiples of `multiple` (width, height).

    Nothing is resampled. Neither side is longer than `max_side`. Raises :class:`UsageError` where
    not even one multiple fits.
    """
    steps = (multiple, multiple) if isinstance(multiple, int) else multiple
    if min(steps) < 1 or (max_side is not None and max_side < 1):
        raise UsageError(f"multiple is {multiple} and max_side {max_side}, expected at least 1")

    width, height = (
        min(side, max_side or side) // step * step
        for side, step in zip(image.size, steps, strict=True)
    )
    if not width or not height:
        limit = f" and at most {max_side} px a side" if max_side else ""
        raise UsageError(
            f"an image of {image.width}×{image.height} px holds no canvas of a multiple of "
            f"{steps[0]}×{steps[1]} px{limit}; use a larger image or resample it"
        )

    x, y = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((x, y, x + width, y + height))
