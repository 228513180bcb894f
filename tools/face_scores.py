"""Scores of faces from 68 landmarks, class probabilities and pixels: what the bundled directions
are learned from.

Left and right are those of the image, as the viewer sees it.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
NOSE_BRIDGE, NOSE_TIP, NOSE_BASE, CHIN = 27, 30, 33, 8
INNER_LIPS = 62, 66  # upper, lower
OUTER_LIPS = 51, 57  # middle of the upper and of the lower
MOUTH_CORNERS = 48, 54  # left, right
LEFT_CHEEK = 1, 2, 3, 31, 36, 41, 48
RIGHT_CHEEK = 15, 14, 13, 35, 45, 46, 54
LUMA = 0.299, 0.587, 0.114


def geometry(landmarks: Array) -> dict[str, Array]:
    """Scores [N] of landmarks [N, 68, 2] in pixels, all free of scale.

    yaw         nose tip right of the eyes' middle, in eye distances: the face turns to the viewer's
                right
    pitch       nose tip high between eyes and chin: the face looks up
    mouth-open  gap between the inner lips, in eye distances
    eyes-open   height of the eyes over the length of the nose: their width shrinks when the head
                turns
    """
    left, right = landmarks[:, LEFT_EYE].mean(1), landmarks[:, RIGHT_EYE].mean(1)
    middle, distance = (left + right) / 2, np.linalg.norm(right - left, axis=1)
    nose = landmarks[:, NOSE_TIP] - middle
    length = np.linalg.norm(landmarks[:, NOSE_BASE] - landmarks[:, NOSE_BRIDGE], axis=1)
    upper, lower = (landmarks[:, k] for k in INNER_LIPS)
    return {
        "yaw": nose[:, 0] / distance,
        "pitch": -nose[:, 1] / np.abs(landmarks[:, CHIN, 1] - middle[:, 1]),
        "mouth-open": (lower - upper)[:, 1] / distance,
        "eyes-open": (height(landmarks[:, LEFT_EYE]) + height(landmarks[:, RIGHT_EYE]))
        / (2 * length),
    }


def mouth_corners(landmarks: Array) -> Array:
    """How far the corners of the mouth are above the middle of the lips [N], in eye distances: they
    rise in a smile.

    Of landmarks [N, 68, 2], along the line of the nose, so that a tilted head does not matter.
    """
    left, right = landmarks[:, LEFT_EYE].mean(1), landmarks[:, RIGHT_EYE].mean(1)
    distance = np.linalg.norm(right - left, axis=1)
    nose = landmarks[:, NOSE_BRIDGE] - landmarks[:, NOSE_BASE]
    up = nose / np.linalg.norm(nose, axis=1, keepdims=True)
    corners, lips = (landmarks[:, list(points)].mean(1) for points in (MOUTH_CORNERS, OUTER_LIPS))
    return ((corners - lips) * up).sum(1) / distance


def height(eye: Array) -> Array:
    """Mean distance [N] of the lids, from an eye's six points [N, 6, 2]: corner, two above, corner,
    two below.
    """
    return (
        np.linalg.norm(eye[:, 1] - eye[:, 5], axis=1)
        + np.linalg.norm(eye[:, 2] - eye[:, 4], axis=1)
    ) / 2


def hair_darkness(image: Array, landmarks: Array) -> float:
    """Log of the cheeks' luminance over that of the hair.

    `image` is [H, W, 3] 8-bit sRGB, `landmarks` [68, 2] in its pixels. The hair is the median over
    a grid on the crown and beside the temples. Relative to the skin, so that exposure cancels. Hats
    and bald heads are noise here.
    """
    luma = image @ np.array(LUMA) / 255
    left, right = landmarks[LEFT_EYE].mean(0), landmarks[RIGHT_EYE].mean(0)
    across, middle = right - left, (left + right) / 2
    up = middle - landmarks[CHIN]

    # Places over the forehead and beside the temples, in the face's own axes.
    crown = [
        middle + t * up + s * across
        for t in (0.68, 0.76, 0.84, 0.92)
        for s in np.linspace(-0.6, 0.6, 9)
    ]
    unit_up = up / np.linalg.norm(up) * np.linalg.norm(across)
    temples = [
        landmarks[k] + side * s * across + t * unit_up
        for k, side in ((1, -1), (15, 1))
        for s in (0.1, 0.2)
        for t in (0.4, 0.7, 1.0)
    ]

    hair = np.median([at(luma, p) for p in crown + temples])
    skin = np.mean([cheek(luma, landmarks, c) for c in (LEFT_CHEEK, RIGHT_CHEEK)])
    return float(np.log((skin + 0.05) / (hair + 0.05)))


def light_from_left(image: Array, landmarks: Array) -> float:
    """Log of the left cheek's luminance over the right one's; arguments as in `hair_darkness`."""
    luma = image @ np.array(LUMA) / 255
    return float(
        np.log(
            (cheek(luma, landmarks, LEFT_CHEEK) + 0.02)
            / (cheek(luma, landmarks, RIGHT_CHEEK) + 0.02)
        )
    )


def cheek(luma: Array, landmarks: Array, points: tuple[int, ...]) -> float:
    """Mean luminance of a square in the middle of `points`."""
    x, y = landmarks[list(points)].mean(0)
    half = 0.14 * np.linalg.norm(landmarks[RIGHT_EYE].mean(0) - landmarks[LEFT_EYE].mean(0))
    (y0, y1), (x0, x1) = ((max(int(c - half), 0), int(c + half) + 1) for c in (y, x))
    patch = luma[y0:y1, x0:x1]
    return float(patch.mean()) if patch.size else at(luma, landmarks[list(points)].mean(0))


def at(luma: Array, point: Array) -> float:
    """Luminance at (x, y), or at the nearest pixel inside."""
    x, y = np.clip(point, 0, np.array(luma.shape[::-1]) - 1).astype(int)
    return float(luma[y, x])
