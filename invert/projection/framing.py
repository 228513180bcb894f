"""A photograph as the image to project: what is cut out of it, and where that was."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from torch import Tensor

from invert.errors import ModelUnavailableError, UsageError
from invert.generator import Generator
from invert.images.alignment import (
    SURE,
    choose_face,
    cut_face,
    ffhq_square,
    lies_as_in_ffhq,
    warn,
)
from invert.images.crops import crop_to, crop_to_multiple, square_crop
from invert.images.face_detection import Face, face_detector
from invert.images.image_files import picture_name, shown
from invert.images.images import ReadOptions, convert_picture, read_image, to_tensor
from invert.latents.latent import Latent
from invert.latents.shapes import pixels
from invert.latents.spaces import Space
from invert.latents.w_spaces import knows_aligned_faces
from invert.networks.network import Size
from invert.weights import MODELS

CLEAR = (
    0.99  # probability of a face that needs no look at the turned picture: one on its side had 0.98
)
MUCH_SURER = 5.0  # times less probable that it is none
TURNS = {  # degrees, counterclockwise
    180: Image.Transpose.ROTATE_180,
    90: Image.Transpose.ROTATE_90,
    270: Image.Transpose.ROTATE_270,
}
Crop = tuple[float, float, float] | Literal["centre", "face"]  # x, y, side (the width) in pixels


@dataclass(frozen=True)
class Framing:
    """How photographs are read and what is cut out of them.

    crop       None: the centre, as a square or whatever shape the generator's images have; or what
               a generator of aligned faces, those of FFHQ's W space, knows: the photograph as it is
               where it is square and its face lies about as in FFHQ, else the face
    face       which one, from 0 at the left, where there are several; None: the largest
    keep_size  nothing is cut, as far as cells of F_i go
    """

    crop: Crop | None = None
    face: int | None = None
    keep_size: bool = False
    reading: ReadOptions = field(default_factory=ReadOptions)


def load_target(
    generator: Generator,
    space: Space,
    source: str | os.PathLike[str] | Image.Image,
    framing: Framing,
) -> tuple[Tensor, dict[str, Any]]:
    """The photograph as [1, 3, H, W] in [−1, 1] at the size to project, and where that was in it.

    `source` is a file, or a picture of any mode that Pillow reads. Raises :class:`ImageError` for
    what is no picture, or has no face where one is needed, and :class:`UsageError` for a framing
    that does not fit.
    """
    if framing.face is not None and framing.crop not in (None, "face"):
        raise UsageError(
            "--face and --crop both say where to cut; give one, or --crop face with --face"
        )
    if isinstance(source, Image.Image):
        picture, name = convert_picture(source, framing.reading), picture_name(source)
        path = getattr(source, "filename", "")
    else:
        picture, name, path = read_image(source, framing.reading), shown(source), source
    facts: dict[str, Any] = {"file": Path(path).name} if path else {}
    facts |= {"size": list(picture.size)} | changed_options(framing.reading)
    if framing.keep_size:
        fitted = whole_cells(generator, space, picture, framing)
    else:
        fitted, where = cut_frame(generator, name, picture, framing)
        facts |= where
    facts["projected_size"] = list(fitted.size)
    return to_tensor(fitted), facts


def changed_options(reading: ReadOptions) -> dict[str, Any]:
    """{"reading": the options that are not their defaults}, for the facts; {} where all are."""
    usual = asdict(ReadOptions())
    changed = {name: value for name, value in asdict(reading).items() if value != usual[name]}
    return {"reading": changed} if changed else {}


def facts_of(latent: Latent) -> Mapping[str, Any]:
    """What a latent's metadata say of its photograph; {} where they do not."""
    facts = latent.metadata.get("image", {})
    return facts if isinstance(facts, Mapping) else {}


def reading_of(facts: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> ReadOptions:
    """How the photograph of `facts` (a latent's "image") was read, but for `changes`.

    Raises :class:`UsageError` for facts that name options that there are not, or impossible values.
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
    """The whole photograph, without the rows and columns at its sides that fill no cell of F_i and R_i."""
    if space.layer is None or framing.crop is not None or framing.face is not None:
        raise UsageError(
            "--keep-size needs a space with features, like FNW5, and no --crop or --face"
        )
    return crop_to_multiple(picture, generator.step(space))


def cut_frame(
    generator: Generator, name: str, picture: Image.Image, framing: Framing
) -> tuple[Image.Image, dict[str, Any]]:
    """The part to project at the generator's size, and where it was: "crop" or "face".

    Raises :class:`UsageError` for a face where the generator's images are no squares.
    """
    (height, width), crop = generator.image_size, framing.crop
    asked = crop == "face" or framing.face is not None
    if asked and height != width:
        raise UsageError(
            "a face is cut as a square, this generator makes images of "
            f"{pixels(generator.image_size)}; use --crop centre or --crop x,y,side"
        )
    if asked or (crop is None and height == width and knows_faces(generator)):
        face, turned = find_face(name, picture, framing.face)
        if asked or not lies_as_in_ffhq(ffhq_square(face), picture.size):
            fitted, where = cut_face(name, picture, face, width)
            return fitted, {"face": where | ({"turned": turned} if turned else {})}
    box = frame(picture, (height, width), crop if isinstance(crop, tuple) else None)
    return crop_to(picture, box, (width, height)), {"crop": list(box)}


def knows_faces(generator: Generator) -> bool:
    """Whether the generator knows faces as FFHQ aligns them: by its mapping network, or its
    registered name.
    """
    registered = generator.name in MODELS and MODELS[generator.name].aligned
    return registered or knows_aligned_faces(generator)


def frame(
    picture: Image.Image,
    size: Size,
    crop: tuple[float, float, float] | None,
) -> tuple[float, ...]:
    """The largest centred part of the shape of `size` (height, width), or that of a crop x, y,
    side.

    In pixels: x, y, side of a square; x, y, width, height of another shape, whose width is the
    side.
    """
    height, width = size
    if height == width:
        return square_crop(picture, crop)
    if crop is not None:
        x, y, side = crop
        return x, y, side, side * height / width
    scale = min(picture.width / width, picture.height / height)
    w, h = width * scale, height * scale
    return (picture.width - w) / 2, (picture.height - h) / 2, w, h


def find_face(name: str, picture: Image.Image, index: int | None) -> tuple[Face, int]:
    """The face to cut, and by how many degrees its head is turned: 0, 90, 180 or 270.

    Heads on their side or upside down are looked for where no surely upright one is; a warning says
    so. Raises :class:`ImageError` when there is none.
    """
    try:
        detector = face_detector()
    except ModelUnavailableError as error:
        raise ModelUnavailableError(f"{error}; --crop centre needs none of it") from error
    faces, turned = faces_any_way_up(detector, picture)
    if turned:
        warn(f"{name}: no upright face; one is found with the photograph turned by {turned}°")
    return choose_face(name, faces, index), turned


def faces_any_way_up(
    detect: Callable[[Image.Image], list[Face]], picture: Image.Image
) -> tuple[list[Face], int]:
    """The faces, in the picture as it is, and the counterclockwise turn in degrees that shows them upright."""
    faces = detect(picture)
    best, turned = max((face.score for face in faces), default=0.0), 0
    if best >= CLEAR:
        return faces, 0
    # A sure face gives way only to one that is much surer: heads at 45° are found both ways.
    least = 1 - (1 - best) / MUCH_SURER if best >= SURE else 0.0
    for degrees, turn in TURNS.items():
        found = [
            turned_back(face, degrees, picture.size) for face in detect(picture.transpose(turn))
        ]
        score = max((face.score for face in found), default=0.0)
        if score > max(best, least):
            faces, best, turned = found, score, degrees
    return sorted(faces, key=lambda face: face.box[0] + face.box[2]), turned


def turned_back(face: Face, degrees: int, size: tuple[int, int]) -> Face:
    """A face of a picture of `size` (width, height) from where it is in the turned picture."""
    width, height = size

    def place(x: float, y: float) -> tuple[float, float]:
        if degrees == 90:
            return width - y, x
        return (width - x, height - y) if degrees == 180 else (y, height - x)

    (x0, y0), (x1, y1) = place(*face.box[:2]), place(*face.box[2:])
    box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return Face(box, face.score, tuple(place(*point) for point in face.landmarks))
