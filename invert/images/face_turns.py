"""Faces in photographs that lie on their side or upside down."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from invert.images.alignment import SURE
from invert.images.face_detection import Face

# Probability of a face with which the turned picture is not searched: one on its side had 0.98.
CLEAR = 0.99
# A turned face replaces a sure upright one where it is so many times less probable to be none.
MUCH_SURER = 5.0
TURNS = {  # degrees, counterclockwise
    180: Image.Transpose.ROTATE_180,
    90: Image.Transpose.ROTATE_90,
    270: Image.Transpose.ROTATE_270,
}


def faces_any_way_up(
    detect: Callable[[Image.Image], list[Face]], picture: Image.Image
) -> tuple[list[Face], int]:
    """The faces from left to right, and the turn that shows them upright.

    Faces are given in the picture as it is; the turn is in degrees counterclockwise.
    """
    faces = detect(picture)
    best, turn = max((face.score for face in faces), default=0.0), 0
    if best >= CLEAR:
        return faces, 0

    # A sure face gives way only to one that is much surer: heads at 45° are found both ways.
    least = 1 - (1 - best) / MUCH_SURER if best >= SURE else 0.0
    for degrees, transpose in TURNS.items():
        turned = detect(picture.transpose(transpose))
        score = max((face.score for face in turned), default=0.0)
        if score > max(best, least):
            faces = [turned_back(face, degrees, picture.size) for face in turned]
            best, turn = score, degrees

    return sorted(faces, key=lambda face: face.box[0] + face.box[2]), turn


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
