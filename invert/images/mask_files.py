"""Mask files: where one image is replaced by another.

Black is 0 (outside), white is 1 (inside), grey is a soft edge, whatever the number of bits. A mask
painted in colour has no soft meaning: luma above 127 is inside. Transparent counts as black. ICC
profiles are not applied: values are weights, not colours.

Values that do not fill the type of the file (`value_ranges`): only 0 and 1 is black and white, and
8, 10 or 12 bits in 16 or 32 are scaled, both with a notice. A label map, whose values are whole and
end between 2 and 31, perhaps with 255 for what has no label, is refused with the values found. A
mask without white is said to be one.
"""

from __future__ import annotations

import math
import os

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from invert.errors import ImageError
from invert.files.file_kinds import FileKind, shown
from invert.images.image_colour import (
    grey_values,
    read_orientation,
    split_alpha,
    turn_upright,
    without_profile,
)
from invert.images.image_files import ReadOptions, as_image_errors, load_frame, notice
from invert.images.value_ranges import refuse_label_mask
from invert.recognition import expecting

OPTIONS = ReadOptions(min_side=1, max_aspect=math.inf)
LOSSY = ("JPEG", "MPO", "WEBP", "JPEG2000", "AVIF")
NEARLY_WHITE = 0.9  # a mask that stays below was made for another white, or to blend
COLOUR_TOLERANCE = 16  # levels between R, G and B that JPEG puts into a grey picture


def read_mask(path: str | os.PathLike[str], size: tuple[int, int] | None) -> Tensor:
    """float32 [1, 1, H, W] in [0, 1], at the size (width, height) of the image or of the file.

    Another size of the same proportions (up to one pixel) is resized by nearest neighbour, with a
    warning; other proportions raise :class:`ImageError`. Warns when the mask is empty or full, is
    coloured, transparent, or holds only 0 and 1.
    """
    name = shown(path)
    with expecting(FileKind.PICTURE, path), as_image_errors(path):
        frame = load_frame(path, OPTIONS)
        # Mode F, so that 16-bit masks keep their precision on the way.
        mask = turn_upright(Image.fromarray(weights(name, frame)), read_orientation(name, frame))
        if size is not None and mask.size != size:
            mask = fit(name, mask, size)
        values = np.array(mask)
        if values.max() == 0:
            notice(name, "the mask is empty: nothing is inside")
        elif values.min() == 1:
            notice(name, "the mask is full: everything is inside")
        elif values.max() < NEARLY_WHITE:
            share = f"{values.max():.0%} of white"
            notice(name, f"no value is above {share}: what is inside is blended, not replaced")
    return torch.from_numpy(values)[None, None]


def weights(name: str, frame: Image.Image) -> np.ndarray:
    """float32 [H, W] in [0, 1] of a decoded frame of any mode."""
    # Grey of more than 8 bits.
    if frame.mode in ("I", "F") or frame.mode.startswith("I;16"):
        stored = np.asarray(frame, dtype=np.float32)
        refuse_label_mask(name, stored)
        if frame.mode == "F" and (stored.min() < 0 or stored.max() > 65535):
            raise ImageError(
                f"{name}: float values {stored.min():.4g}…{stored.max():.4g}, expected 0…1 in a "
                "mask; clip or scale them"
            )
        values, white = grey_values(name, frame)

    # 8 bits: transparent is black, colours are cut at luma 127.
    else:
        colour, alpha = split_alpha(name, frame)
        rgb = without_profile(name, colour)
        if alpha is not None and alpha.getextrema() != (255, 255):
            notice(name, "transparent parts of the mask count as black: outside")
            rgb = Image.composite(rgb, Image.new("RGB", rgb.size), alpha)

        luma = np.asarray(rgb.convert("L"))
        pixels = np.asarray(rgb)
        if int((pixels.max(-1) - pixels.min(-1)).max()) > COLOUR_TOLERANCE:
            notice(name, "the mask has colours: luma above 127 is inside, there are no soft edges")
            return (luma > 127).astype(np.float32)

        values, white = luma.astype(np.float32), 255.0
        if frame.format not in LOSSY:  # lossy compression turns white and black into other values
            refuse_label_mask(name, values)

    if white > 1 and values.max() == 1:
        notice(name, "the mask holds only 0 and 1, taken as black and white")
        white = 1.0
    return values / np.float32(white)


def fit(name: str, mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The mask at the size of its image. Raises :class:`ImageError` for other proportions."""
    (width, height), (wanted_width, wanted_height) = mask.size, size
    came, wanted = f"{width}×{height}", f"{wanted_width}×{wanted_height}"
    if abs(width * wanted_height - height * wanted_width) > max(*mask.size, *size):
        raise ImageError(
            f"{name}: a mask of {came} px for an image of {wanted} px; give it the same proportions"
        )
    notice(name, f"resized from {came} to {wanted} px, the size of the image")
    return mask.resize(size, Image.Resampling.NEAREST)
