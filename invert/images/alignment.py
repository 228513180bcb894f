"""The square around a face that FFHQ's pictures show, cut out of a photograph.

Generators trained on FFHQ know faces of one size, upright and in one place. The square is laid by
eyes and mouth as FFHQ's authors did: T. Karras, S. Laine, T. Aila, "A Style-Based Generator
Architecture for Generative Adversarial Networks", 2019, after "Progressive Growing of GANs",
appendix C. They took eyes and mouth from 68 landmarks, we take them from five.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from invert.errors import ImageError, ImageWarning, UsageError
from invert.images.face_detection import Face
from invert.images.images import to_pil, to_tensor

# FFHQ's square. Half its side is the larger of EYES distances between the eyes and MOUTH distances
# from the eyes to the mouth; its centre lies BELOW_EYES distances from the eyes to the mouth below.
EYES, MOUTH = 2.0, 1.8
BELOW_EYES = 0.1

# Padding beyond the photograph, in sides of the square: σ of its blur, and the depth over which it
# fades to the photograph's median colour.
BLUR = 0.02
DEPTH = 0.3

# Warnings: distance between the eyes over that from eyes to mouth (less in a head that looks to the
# side), factor of enlargement, share of the square outside the photograph.
SIDE_VIEW = 0.45
ENLARGED = 4.0
DRAWN = 0.05

# A photograph is aligned already if its square differs from FFHQ's by less than these: share of the
# side, shift of the centre in sides, degrees.
RESIZED, MOVED, TURNED = 0.25, 0.15, 15.0

SURE = 0.9  # probability; less certain faces count only where there is no other


@dataclass(frozen=True)
class Square:
    """A square in a photograph, turned by any angle, in pixels.

    centre  (x, y)
    right   (dx, dy) from the centre to the middle of the square's right side
    """

    centre: tuple[float, float]
    right: tuple[float, float]

    @property
    def side(self) -> float:
        """The length of a side in pixels."""
        return 2 * math.hypot(*self.right)

    @property
    def corners(self) -> list[tuple[float, float]]:
        """Top left, top right, bottom right, bottom left, as the cut picture shows them."""
        (x, y), (dx, dy) = self.centre, self.right
        down = (-dy, dx)
        return [
            (x + across * dx + along * down[0], y + across * dy + along * down[1])
            for across, along in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]


def eyes_and_ways(face: Face) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle between the eyes, and the ways [2] from the left one to the right one and from
    there to the mouth.
    """
    left_eye, right_eye, _, left_mouth, right_mouth = np.asarray(face.landmarks)
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    return eyes, right_eye - left_eye, mouth - eyes


def ffhq_square(face: Face) -> Square:
    """Where FFHQ would cut a face: upright by its eyes and mouth, and as large as either asks."""
    eyes, between, down = eyes_and_ways(face)
    right = between + np.array([down[1], -down[0]])  # both say where right is; their sum settles it
    length = max(EYES * float(np.hypot(*between)), MOUTH * float(np.hypot(*down)))
    dx, dy = right * (length / max(float(np.hypot(*right)), 1e-9))
    x, y = eyes + BELOW_EYES * down
    return Square((float(x), float(y)), (float(dx), float(dy)))


def lies_as_in_ffhq(square: Square, size: tuple[int, int]) -> bool:
    """Whether a photograph of that size (width, height) shows about the square already, so that
    none need be cut.
    """
    width, height = size
    angle = math.degrees(math.atan2(square.right[1], square.right[0]))
    away = max(abs(square.centre[0] - width / 2), abs(square.centre[1] - height / 2))
    return (
        width == height
        and abs(square.side / width - 1) < RESIZED
        and away < MOVED * width
        and abs(angle) < TURNED
    )


def choose_face(name: str, faces: Sequence[Face], index: int | None = None) -> Face:
    """The face with that number from the left, or the largest one, with a warning if of several.

    Raises :class:`ImageError` when there is none, :class:`UsageError` for a number too large.
    """
    if not faces:
        raise ImageError(
            f"{name}: no face found; --crop x,y,side says where it is, "
            "--crop centre takes the middle"
        )

    faces = [face for face in faces if face.score >= SURE] or faces
    if index is not None:
        if not 0 <= index < len(faces):
            raise UsageError(
                f"{name}: no face {index}; found {len(faces)}, numbered from 0 at the left"
            )
        return faces[index]

    largest = max(range(len(faces)), key=lambda k: ffhq_square(faces[k]).side)
    if len(faces) > 1:
        last = len(faces) - 1
        warn(
            f"{name}: {len(faces)} faces, the largest is taken, number {largest}; "
            f"--face 0 to {last} takes another"
        )
    return faces[largest]


def cut_face(
    name: str, picture: Image.Image, face: Face, size: int
) -> tuple[Image.Image, dict[str, Any]]:
    """The picture of a face as FFHQ would show it, `size` px a side, and where it was.

    The dictionary has the square's "corners" and "side" and the face's "landmarks" and "score", in
    pixels of the photograph. Warns (:class:`ImageWarning`) when the head looks aside, the face is
    small, or the square leaves the photograph.
    """
    square = ffhq_square(face)

    # Warnings.
    _, between, down = eyes_and_ways(face)
    if np.hypot(*between) < SIDE_VIEW * np.hypot(*down):
        warn(f"{name}: the face looks aside; the generator knows few such faces")
    if square.side * ENLARGED < size:
        warn(
            f"{name}: the square around the face is {square.side:.0f} px wide, "
            f"enlarged to {size} px; it will be soft"
        )
    outside = share_outside(square, picture.size)
    if outside > DRAWN:
        warn(
            f"{name}: {outside:.0%} of the square around the face lies outside the photograph "
            "and is made up"
        )

    position = {
        "corners": [[round(v, 2) for v in corner] for corner in square.corners],
        "side": round(square.side, 2),
        "landmarks": [[round(v, 2) for v in point] for point in face.landmarks],
        "score": round(face.score, 4),
    }
    return cut(picture, square, size), position


def cut(picture: Image.Image, square: Square, size: int) -> Image.Image:
    """The content of the square, upright, `size` px a side.

    Beyond the photograph it is the photograph's mirror image, blurred and fading.
    """
    # A box filter down to about twice the size: bicubic samples alone would skip pixels.
    factor = int(square.side / size / 2)
    if factor > 1:
        picture = picture.reduce(factor)
        square = Square(*((x / factor, y / factor) for x, y in (square.centre, square.right)))

    # The upright box around the square, padded beyond the photograph.
    corners = np.array(square.corners)
    low, high = np.floor(corners.min(0)) - 2, np.ceil(corners.max(0)) + 2  # two more for the cubic
    padded = extended(picture, (*low.astype(int).tolist(), *high.astype(int).tolist()), square.side)

    # An affine grid over the square, some samples per pixel, averaged.
    finer = max(1, math.ceil(square.side / size))  # samples per pixel and axis
    turn = np.column_stack(
        [square.right, (-square.right[1], square.right[0]), np.array(square.centre) - low]
    )
    theta = torch.from_numpy(turn / (np.array(padded.size)[:, None] / 2) - [[0, 0, 1]]).float()[
        None
    ]
    grid = F.affine_grid(theta, [1, 3, size * finer, size * finer], align_corners=False)
    samples = F.grid_sample(to_tensor(padded), grid, "bicubic", "border", align_corners=False)
    return to_pil(F.avg_pool2d(samples, finer))[0]


def extended(picture: Image.Image, box: tuple[int, int, int, int], side: float) -> Image.Image:
    """The part `box` (left, top, right, bottom) of a picture, which may reach beyond it."""
    left, top, right, bottom = box
    inner = (max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height))
    if inner == box:
        return picture.crop(box)
    if inner[0] >= inner[2] or inner[1] >= inner[3]:
        raise UsageError(f"the square around the face lies outside the photograph, at {box}")

    # The mirror image in place of what is missing.
    pads = ((inner[1] - top, bottom - inner[3]), (inner[0] - left, right - inner[2]))
    inside = np.asarray(picture.crop(inner), np.float32)
    wide = np.pad(inside, (*pads, (0, 0)), "symmetric")
    rows, columns = (beyond(n, *pad) for n, pad in zip(inside.shape[:2], pads, strict=True))

    from scipy.ndimage import gaussian_filter  # half a second, for this step alone

    # With the distance it becomes blurred, then the photograph's median colour.
    away = np.maximum(rows[:, None], columns)[..., None] / (DEPTH * side)  # 0 in the photograph
    blurred = gaussian_filter(wide, (BLUR * side, BLUR * side, 0))
    wide += (blurred - wide) * np.clip(3 * away, 0, 1)
    wide += (np.median(inside, (0, 1)) - wide) * np.clip(away, 0, 1)
    return Image.fromarray(wide.round().clip(0, 255).astype(np.uint8))


def beyond(inside: int, before: int, after: int) -> np.ndarray:
    """Distances to the photograph along one axis, 0 inside."""
    return np.concatenate(
        [np.arange(before, 0, -1), np.zeros(inside), np.arange(1, after + 1)]
    ).astype(np.float32)


def share_outside(square: Square, size: tuple[int, int], samples: int = 64) -> float:
    """Share of the square's area outside a photograph of that size, on a grid of points."""
    steps = (np.arange(samples) + 0.5) / samples * 2 - 1
    across, along = np.meshgrid(steps, steps)
    (x, y), (dx, dy) = square.centre, square.right
    px, py = x + across * dx - along * dy, y + across * dy + along * dx
    return float(((px < 0) | (py < 0) | (px > size[0]) | (py > size[1])).mean())


def warn(message: str) -> None:
    """An :class:`ImageWarning` that points at the caller's caller."""
    warnings.warn(message, ImageWarning, stacklevel=3)
