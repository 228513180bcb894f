"""What the values of a picture or mask mean, where they do not fill the type of the file.

Cameras and microscopes store 10 or 12 bits in 16; segmentation networks store labels 0, 1, 2, … in
8. Read as they stand, both are black pictures and empty masks.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from invert.errors import ImageError
from invert.images.image_files import notice

LABELS = 31  # the largest value of a label map: no picture is so dark, no mask so weak
VOID = 255  # the label of what has none
VOID_SHARE = 0.01  # of the pixels that have labels, where 255 may also be white
SMALLER_WHITES = {255: 8, 1023: 10, 4095: 12}  # largest value: bits
WHITE_OF_14_BITS = 16383  # cameras store them, but many pictures of 16 bits are as dark
MAX_SAMPLE_VALUE, BITS_PER_SAMPLE, S_MAX_SAMPLE_VALUE = 281, 258, 341  # TIFF tags
SHOWN = 6  # values in a message


def white_level(name: str, image: Image.Image, highest: float) -> float:
    """The value of white in an integer image, from its file's tags, else from its largest value.

    65 535, or with a notice 255, 1023 or 4095 where no value is above that. Label maps, whose
    largest value is at most `LABELS`, are not judged here.
    """
    declared = declared_white(image)
    if declared is not None and highest <= declared < 65535:
        bits = declared.bit_length()
        notice(name, f"white is {declared}, as the file says: {bits} bits in {bits_of(image)}")
        return float(declared)

    if max(SMALLER_WHITES) < highest <= WHITE_OF_14_BITS:
        what = f"no value is above {highest:.0f}: it is dark, or has 14 bits"
        notice(name, f"{what}; white is 65535, scale it if it should be less")
    if highest <= LABELS or highest > max(SMALLER_WHITES):
        return 65535.0
    white = min(white for white in SMALLER_WHITES if highest <= white)
    bits = SMALLER_WHITES[white]
    came = f"no value is above {highest:.0f}"
    notice(name, f"{came}: taken as {bits} bits in {bits_of(image)}, white is {white}")
    return float(white)


def declared_white(image: Image.Image) -> int | None:
    """The largest value that the tags of a TIFF allow; None where they do not say."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return None
    bits, *_ = as_numbers(tags.get(BITS_PER_SAMPLE)) or (16,)
    stated = [*as_numbers(tags.get(MAX_SAMPLE_VALUE)), *as_numbers(tags.get(S_MAX_SAMPLE_VALUE))]
    whites = [int(value) for value in stated if LABELS < value < 65535]
    whites += [2 ** int(bits) - 1] if 8 < bits < 16 else []
    return max(whites, default=None)


def as_numbers(value: object) -> tuple[float, ...]:
    """The numbers of a TIFF tag, which are none, one or several."""
    values = value if isinstance(value, tuple) else (value,)
    return tuple(float(v) for v in values if isinstance(v, (int, float)))


def bits_of(image: Image.Image) -> int:
    """The number of bits of the type that holds an integer image."""
    return 16 if image.mode.startswith("I;16") else 32


def is_label_map(values: np.ndarray) -> bool:
    """Whether values [H, W] of a grey mask, in the file's own units, look like labels.

    They are whole and end between 2 and `LABELS`; or beside such there is nothing but `VOID`.
    """
    low, high = float(values.min()), float(values.max())
    if low < 0 or not (values == np.floor(values)).all():
        return False
    if high <= LABELS:
        return high > 1
    if high != VOID:
        return False
    labelled = (values > 0) & (values <= LABELS)
    return bool(((values <= LABELS) | (values == VOID)).all() and labelled.mean() > VOID_SHARE)


def refuse_label_mask(name: str, values: np.ndarray) -> None:
    """Raise :class:`ImageError` for values [H, W] of a mask that are labels."""
    if is_label_map(values):
        raise ImageError(
            f"{name}: values {some_of(values)}: a label map, no mask; save what is inside as "
            f"white, like (labels == {float(values[values <= LABELS].max()):g}) * 255"
        )


def refuse_label_picture(name: str, values: np.ndarray) -> None:
    """Raise :class:`ImageError` for values [H, W] or [H, W, 3] too dark for a picture.

    A picture of one colour passes.
    """
    low, high = float(values.min()), float(values.max())
    if low < high <= LABELS and low >= 0 and (values == np.floor(values)).all():
        raise ImageError(
            f"{name}: values {some_of(values)}, nearly black: a label map, or fewer bits than the "
            "file can hold; scale them to 0…255 first"
        )


def some_of(values: np.ndarray) -> str:
    """'0, 1, 7' or '0, 1, 2, 3, 4, …, 18' of the values that there are."""
    found = [f"{value:g}" for value in np.unique(values)]
    if len(found) <= SHOWN:
        return ", ".join(found)
    return ", ".join([*found[: SHOWN - 1], "…", found[-1]])
