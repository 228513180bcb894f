"""The part of a photograph that is projected, and where in the photograph it was."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from torch import Tensor

from invert.arguments import check_kinds, scalar
from invert.errors import ModelUnavailableError, UsageError, did_you_mean
from invert.files.file_kinds import shown
from invert.generator import Generator
from invert.images.alignment import (
    choose_face,
    cut_face,
    ffhq_square,
    lies_as_in_ffhq,
    warn,
)
from invert.images.crops import NICKNAMES, crop_to, crop_to_multiple, square_crop
from invert.images.face_detection import Face, face_detector
from invert.images.face_turns import faces_any_way_up
from invert.images.image_files import picture_name
from invert.images.images import ReadOptions, convert_picture, read_image, to_tensor
from invert.latents.latent import Latent
from invert.latents.shapes import pixels
from invert.latents.spaces import Space
from invert.latents.w_spaces import knows_aligned_faces
from invert.networks.network import Size
from invert.weights import MODELS

# x, y, side (the width) in pixels; where images are no squares also x, y, width, height
Crop = Sequence[float] | Literal["centre", "face"]
CROPS: tuple[Literal["centre", "face"], ...] = ("centre", "face")
SQUEEZED = 0.5  # pixels by which the shape of a crop may differ from that of the images


@dataclass(frozen=True)
class Framing:
    """How photographs are read and what is cut out of them.

    Raises :class:`UsageError` for values of other kinds.

    crop       (x, y, side) in pixels, "centre" or "face"; for generators whose images are no
               squares also (x, y, width, height), as a latent's metadata have it. None: the
               largest face for generators that were trained on aligned faces like FFHQ's, unless
               the photograph is aligned already; the centre for others
    face       which face, from 0 at the left; None: the largest
    keep_size  cut nothing but the rows and columns at the sides that fill no cell of F_i
    reading    how the file is read
    """

    crop: Crop | None = None
    face: int | None = None
    keep_size: bool = False
    reading: ReadOptions = field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        check_kinds(self)
        object.__setattr__(self, "crop", checked_crop(self.crop))
        if not isinstance(self.reading, ReadOptions):
            raise UsageError(f"reading is a ReadOptions, got {self.reading!r}")


def checked_crop(crop: Any) -> Crop | None:
    """A crop whose numbers are a tuple of floats. Raises :class:`UsageError` for what is none."""
    for name in CROPS:
        if isinstance(crop, str) and crop == name:
            return name
    if crop is None:
        return None
    numbers = [] if isinstance(crop, str) or not isinstance(crop, Iterable) else list(crop)
    numbers = [scalar(number) for number in numbers]
    if (
        len(numbers) in (3, 4)
        and all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
        and min(numbers[2:]) > 0
    ):
        return tuple(float(number) for number in numbers)
    near = did_you_mean(crop, CROPS, NICKNAMES) if isinstance(crop, str) else ""
    raise UsageError(
        "crop is (x, y, side) in pixels with a side above 0, 'centre' or 'face', "
        f"got {crop!r}{near}"
    )


def load_target(
    generator: Generator,
    space: Space,
    source: str | os.PathLike[str] | Image.Image,
    framing: Framing,
) -> tuple[Tensor, dict[str, Any]]:
    """The photograph as [1, 3, H, W] in [−1, 1] at the size to project, and where that was in it.

    `source` is a file, or a picture of any mode that Pillow reads. Raises :class:`ImageError` for
    a file that is no picture or has no face where one is needed, and :class:`UsageError` for a
    framing that does not fit.
    """
    if framing.face is not None and framing.crop not in (None, "face"):
        raise UsageError(
            "face (--face) and crop (--crop) both say where to cut; give one, or the crop 'face' "
            "with a face"
        )

    # Read.
    if isinstance(source, Image.Image):
        picture, name = convert_picture(source, framing.reading), picture_name(source)
        path = getattr(source, "filename", "")
    else:
        picture, name, path = read_image(source, framing.reading), shown(source), source

    # Cut, and note where.
    facts: dict[str, Any] = {"file": Path(path).name} if path else {}
    facts |= {"size": list(picture.size)} | changed_options(framing.reading)
    if framing.keep_size:
        part = whole_cells(generator, space, picture, framing)
    else:
        part, where = cut_frame(generator, name, picture, framing)
        facts |= where
    facts["projected_size"] = list(part.size)
    return to_tensor(part), facts


def changed_options(reading: ReadOptions) -> dict[str, Any]:
    """{"reading": the options that differ from their defaults}; {} where none does."""
    defaults = asdict(ReadOptions())
    changed = {name: value for name, value in asdict(reading).items() if value != defaults[name]}
    return {"reading": changed} if changed else {}


def facts_of(latent: Latent) -> Mapping[str, Any]:
    """The part of a latent's metadata about its photograph; {} where there is none."""
    facts = latent.metadata.get("image", {})
    return facts if isinstance(facts, Mapping) else {}


def reading_of(facts: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> ReadOptions:
    """The options with which the photograph of `facts` (a latent's "image") was read.

    `changes` replace some of them. Raises :class:`UsageError` for unknown options in the facts and
    for impossible values.
    """
    stored = facts.get("reading", {})
    names = {field.name for field in fields(ReadOptions)}
    if not isinstance(stored, Mapping) or not names >= set(stored):
        raise UsageError(
            "the latent names options of reading that do not exist; its file is damaged"
        )
    return ReadOptions(**{**stored, **(changes or {})})


def whole_cells(
    generator: Generator, space: Space, picture: Image.Image, framing: Framing
) -> Image.Image:
    """The photograph without the rows and columns at its sides that fill no cell of F_i and R_i."""
    if space.layer is None or framing.crop is not None or framing.face is not None:
        raise UsageError(
            "keep_size (--keep-size) needs a space with features, like FNW5, and no crop or face"
        )
    return crop_to_multiple(picture, generator.step(space))


def cut_frame(
    generator: Generator, name: str, picture: Image.Image, framing: Framing
) -> tuple[Image.Image, dict[str, Any]]:
    """The part to project at the generator's size, and where it was: "crop" or "face".

    Raises :class:`UsageError` for a face where the generator's images are no squares.
    """
    (height, width), crop = generator.image_size, framing.crop
    face_required = crop == "face" or framing.face is not None
    if face_required and height != width:
        raise UsageError(
            "a face is cut as a square, this generator makes images of "
            f"{pixels(generator.image_size)}; use the crop 'centre' or x,y,side (--crop)"
        )

    # A face, as FFHQ shows them; a photograph that is aligned already is cut like any other.
    if face_required or (crop is None and height == width and knows_faces(generator)):
        face, turn = find_face(name, picture, framing.face)
        if face_required or not lies_as_in_ffhq(ffhq_square(face), picture.size):
            part, where = cut_face(name, picture, face, width)
            return part, {"face": where | ({"turned": turn} if turn else {})}

    # A box: the given one, or the centre.
    box = frame(picture, (height, width), crop if isinstance(crop, tuple) else None)
    return crop_to(picture, box, (width, height)), {"crop": list(box)}


def knows_faces(generator: Generator) -> bool:
    """Whether the generator was trained on faces that are aligned as in FFHQ.

    Its mapping network shows it, or its registered name.
    """
    registered = generator.name in MODELS and MODELS[generator.name].aligned
    return registered or knows_aligned_faces(generator)


def frame(
    picture: Image.Image,
    size: Size,
    crop: tuple[float, ...] | None,
) -> tuple[float, ...]:
    """The box of a crop (x, y, side) in pixels; without one the largest in the centre.

    Its shape is that of `size` (height, width): (x, y, side) where that is a square, else
    (x, y, width, height), and a crop's side is the width. A crop (x, y, width, height) is that box.
    Raises :class:`UsageError` where it has another shape: the picture would be squeezed.
    """
    height, width = size
    if crop is not None:
        x, y, w = crop[:3]
        h = crop[3] if len(crop) == 4 else w * height / width
        if abs(h - w * height / width) > SQUEEZED:
            raise UsageError(
                f"crop is {w:g}×{h:g} px and would be squeezed to {pixels(size)}, the shape of the "
                "generator's images; give x,y,side, whose side is the width"
            )
        return square_crop(picture, (x, y, w)) if height == width else (x, y, w, h)
    if height == width:
        return square_crop(picture)
    scale = min(picture.width / width, picture.height / height)
    w, h = width * scale, height * scale
    return (picture.width - w) / 2, (picture.height - h) / 2, w, h


def find_face(name: str, picture: Image.Image, index: int | None) -> tuple[Face, int]:
    """The face to cut, and the turn in degrees that shows it upright: 0, 90, 180 or 270.

    Turned heads are searched for where no face is surely upright; a warning says so. Raises
    :class:`ImageError` when there is no face.
    """
    try:
        detector = face_detector()
    except ModelUnavailableError as error:
        raise ModelUnavailableError(
            f"{error}; the crop 'centre' (--crop centre) needs none of it"
        ) from error

    faces, turn = faces_any_way_up(detector, picture)
    if turn:
        warn(f"{name}: no upright face; one is found with the photograph turned by {turn}°")
    return choose_face(name, faces, index), turn
