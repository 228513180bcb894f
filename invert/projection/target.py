"""The target of a projection, from the file of a photograph, a PIL image or a tensor."""

from __future__ import annotations

import os
import warnings
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

from invert.errors import ImageWarning, UsageError
from invert.generator import Generator
from invert.latents.spaces import Space
from invert.projection.framing import Framing, load_target

Source = str | os.PathLike[str] | Image.Image | Tensor
Each = TypeVar("Each", bound=Source)
Sources = list[Each] | tuple[Each, ...]

WANTED = "[1, 3, H, W] in [−1, 1]"
MAX_MEAN, MAX_VALUE = 1.25, 10.0  # of |x|: black and white are 1, renderings overshoot by little
NEAR_BLACK, BRIGHT = 0.1, 0.5  # a picture in 0 … 1 has nearly always values below and above these
# a warning where more than MAX_SHARE of the pixels' values have |x| above OVERSHOOT
OVERSHOOT, MAX_SHARE = 1.25, 0.1


def make_target(
    generator: Generator, space: Space, source: Source, framing: Framing | None = None
) -> tuple[Tensor, dict[str, Any]]:
    """The image [1, 3, H, W] to project, and where it comes from ({} for a tensor).

    Files and pictures are read and cut as `framing` says, by default as `invert project` does. A
    tensor is taken as it is where :func:`check_values` allows. Raises :class:`UsageError` for
    anything else, and the errors of :func:`invert.projection.framing.load_target`.
    """
    if framing is not None and not isinstance(framing, Framing):
        raise UsageError(f"framing is a Framing, got {framing!r}; Framing(crop='centre') makes one")
    if isinstance(source, (str, os.PathLike, Image.Image)):
        return load_target(generator, space, source, framing or Framing())
    if not isinstance(source, Tensor):
        came = description(source)
        raise UsageError(f"expected a path, a PIL image or a tensor {WANTED}, got {came}")
    if framing is not None:
        raise UsageError(
            "framing is for files and pictures; a tensor is taken as it is, leave it out"
        )
    image = check_shape(source.detach())
    check_values(image)
    return image, {}


def many(image: Source | Sources[Any]) -> bool:
    """Whether these are several images, or a sequence of any length: the result is a tuple."""
    if isinstance(image, Tensor):
        return image.ndim == 4 and len(image) > 1
    return isinstance(image, (list, tuple))


def sources_of(image: Source | Sources[Any]) -> list[Source]:
    """The images one by one. Raises :class:`UsageError` for a sequence of none."""
    if isinstance(image, Tensor):
        return list(image.split(1)) if many(image) else [image]
    if not isinstance(image, (list, tuple)):
        return [image]
    if not image:
        raise UsageError("expected at least one image, got none")
    return list(image)


def description(source: object) -> str:
    """Words for a value that is no image, and for what to do with it."""
    if isinstance(source, np.ndarray):
        what = f"a numpy array {list(source.shape)} of {source.dtype}"
        return f"{what}; PIL.Image.fromarray makes a picture of 8-bit [H, W, 3]"
    if isinstance(source, (bytes, bytearray)):
        return "bytes; PIL.Image.open(io.BytesIO(data)) makes a picture of a file's content"
    if isinstance(source, (list, tuple)):
        return f"a {type(source).__name__} of {len(source)} within a sequence"
    return f"{type(source).__name__}; give one of these"


def check_shape(image: Tensor) -> Tensor:
    """One RGB image as [1, 3, H, W]. Raises :class:`UsageError` that names the layout it has."""
    shape = list(image.shape)
    batch = image[None] if image.ndim == 3 else image
    if batch.ndim == 4 and batch.shape[1] == 3 and len(batch) == 1:
        return batch

    # Guess the layout, and say how to change it.
    grey = "a grey image; repeat it to three channels with x.expand(1, 3, -1, -1)"
    if image.ndim == 2:
        hint = grey
    elif batch.ndim != 4 or batch.shape[1] == 3:
        hint = "project images one by one"
    elif batch.shape[3] == 3:
        order = "2, 0, 1" if image.ndim == 3 else "0, 3, 1, 2"
        hint = f"the colours come last; put them first with x.permute({order})"
    elif 4 in (batch.shape[1], batch.shape[3]):
        hint = (
            "four channels; lay it on a background first, as invert.images.images.read_image does"
        )
    elif 1 in (batch.shape[1], batch.shape[3]):
        hint = grey
    else:
        hint = "project images one by one"
    raise UsageError(f"expected one image {WANTED}, got {shape}: {hint}")


def check_values(image: Tensor) -> None:
    """Raise :class:`UsageError` unless the values are floats about [−1, 1].

    Renderings overshoot, by little. Warns (:class:`ImageWarning`) when many values do, and when
    they look like 0 … 1.
    """
    if not image.is_floating_point():
        dtype = str(image.dtype).removeprefix("torch.")
        hint = "x / 127.5 - 1 makes them" if dtype == "uint8" else "convert them first"
        raise UsageError(f"expected an image of floats {WANTED}, got {dtype}; {hint}")
    if image.numel() == 0:
        raise UsageError(f"expected an image {WANTED}, got {list(image.shape)}: no pixels")
    if not bool(image.isfinite().all()):
        raise UsageError("the image has values that are not finite; find where they come from")

    # Far outside [−1, 1]: another range.
    size = image.detach().float().abs()
    low, high = float(image.min()), float(image.max())
    came = f"values {low:.4g} to {high:.4g}"
    if float(size.max()) > MAX_VALUE or float(size.mean()) > MAX_MEAN:
        levels = low >= 0 and high <= 255
        hint = "x / 127.5 - 1 makes them of 0 to 255" if levels else "scale them first"
        raise UsageError(f"expected an image {WANTED}, got {came}; {hint}")

    # Within, but perhaps 0 … 1, or with many values that overshoot.
    if 0 <= low < NEAR_BLACK and BRIGHT < high <= 1:
        warn(f"{came} are mid-grey to white, as black is −1; if black is 0 here, give 2 * x - 1")
    elif (share := float((size > OVERSHOOT).float().mean())) > MAX_SHARE:
        warn(
            f"{came}, of which {share:.0%} lie far outside [−1, 1] and cannot be shown; scale them"
        )


def warn(message: str) -> None:
    """Warn of an image, at the line that called `project`."""
    warnings.warn(message, ImageWarning, stacklevel=7)
