"""Faces in pictures, measured by nets: pose, mouth, age, glasses, identity. Instruments,
independent of the generator.

The nets run in node (`tools/label_faces.mjs` says how to install them); the scores are those that
the directions were learned from (`tools/face_scores.py`), and the glasses score of
`tools/face_glasses.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from invert.images.images import area_downscale, to_pil

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools are scripts, not a package
from face_glasses import glasses_score
from face_labels import label_faces
from face_scores import geometry, mouth_corners

SIDE = 256  # of the pictures that the nets see
HAPPY = 1  # of the seven expressions


@dataclass(frozen=True, eq=False)
class Face:
    """One face: scores by name, and the descriptor [128].

    yaw            nose tip right of the eyes' middle, in eye distances: turned to the viewer's
                   right
    pitch          nose tip high between eyes and chin: looking up
    smile          probability of a happy face
    mouth-corners  corners above the middle of the lips, in eye distances
    mouth-open, eyes-open   see `face_scores.geometry`
    age            years
    gender         probability of a male face
    glasses        log-odds of eyeglasses
    """

    scores: Mapping[str, float]
    descriptor: np.ndarray


@dataclass(frozen=True)
class FaceNets:
    """The nets in the folder `packages`."""

    packages: Path

    def measure(self, images: Sequence[Tensor]) -> list[Face | None]:
        """The face in each square image [1, 3, H, H]; None where none was found. About a second per
        image.
        """
        if not images:
            return []
        pictures = np.stack(
            [np.asarray(to_pil(area_downscale(image, SIDE))[0]) for image in images]
        )
        labels = label_faces(pictures, self.packages)
        return [None if face is None else read(face) for face in labels]


def read(labels: Mapping[str, np.ndarray]) -> Face:
    """The scores that follow from the labels that the nets gave a picture."""
    landmarks = labels["landmarks"].astype(np.float64)
    scores = {
        **{name: values[0] for name, values in geometry(landmarks[None]).items()},
        "mouth-corners": mouth_corners(landmarks[None])[0],
        "smile": labels["expressions"][HAPPY],
        "age": labels["age"],
        "gender": labels["male"],
        "glasses": glasses_score(labels["descriptor"].astype(np.float64)),
    }
    return Face({name: float(value) for name, value in scores.items()}, labels["descriptor"])


def descriptor_distance(a: Face, b: Face) -> float:
    """Euclidean distance of two faces' descriptors: 0 for the same picture, under 0.6 usually the
    same person.
    """
    return float(np.linalg.norm(a.descriptor - b.descriptor))
