"""Measure what directions do to rendered faces: python tools/measure_directions.py --packages
FOLDER [NAME ...].

Every direction is applied to generated faces that took no part in learning, 2 steps up and 2 down,
and nets and pixels judge the pictures (FOLDER: see `face_labels.py`). The files of the catalogue
get `effects`: the change of every attribute's score per step, in standard deviations of that score
over random faces at psi = 1, and `identity_distance_2_steps`, the mean distance of the face
descriptor from that of the unedited face (0.6 is the usual border between two people). No net here
knows glasses. About 40 s per direction on one core.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from face_labels import label_faces
from face_rendering import ffhq_generator, render_faces
from face_scores import geometry, hair_darkness, light_from_left

from directions.catalog import FOLDER, available, find
from directions.direction_files import save_direction

STEPS = 2
FIRST_SEED = 100_000
PSI = 0.7
SPREAD_FACES = 100
HAPPY = 1

Labels = list[dict[str, np.ndarray] | None]


def attribute_scores(pictures: np.ndarray, labels: Labels) -> dict[str, np.ndarray]:
    """Scores [n] of every attribute that can be judged, over the pictures; all of them must have
    labels.
    """
    faces = [face for face in labels if face is not None]
    landmarks = np.stack([face["landmarks"] for face in faces])
    return {
        "smile": np.array([face["expressions"][HAPPY] for face in faces]),
        "age": np.array([face["age"] for face in faces]),
        "gender": np.array([face["male"] for face in faces]),
        **geometry(landmarks),
        "hair-dark": np.array(
            [hair_darkness(*pair) for pair in zip(pictures, landmarks, strict=True)]
        ),
        "light-from-left": np.array(
            [light_from_left(*pair) for pair in zip(pictures, landmarks, strict=True)]
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=24)
    arguments = parser.parse_args()
    generator = ffhq_generator()

    def judged(ws: torch.Tensor) -> tuple[np.ndarray, Labels]:
        pictures = render_faces(generator, ws)
        return pictures, label_faces(pictures, arguments.packages)

    random = generator.sample(range(FIRST_SEED + 1000, FIRST_SEED + 1000 + SPREAD_FACES)).styles
    assert isinstance(random, torch.Tensor)
    pictures, labels = judged(random)
    found = [k for k, face in enumerate(labels) if face is not None]
    spread = {
        name: values.std()
        for name, values in attribute_scores(pictures[found], [labels[k] for k in found]).items()
    }
    ws = generator.sample(
        range(FIRST_SEED, FIRST_SEED + arguments.faces), psi=PSI, space="W+"
    ).styles
    assert isinstance(ws, torch.Tensor)
    _, start = judged(ws)
    for name in arguments.names or available():
        d = find(name)
        (up, up_labels), (down, down_labels) = (
            judged(ws + d.offset(generator.num_ws, s)) for s in (STEPS, -STEPS)
        )
        used = [
            k
            for k, faces in enumerate(zip(start, up_labels, down_labels, strict=True))
            if None not in faces
        ]
        above = attribute_scores(up[used], [up_labels[k] for k in used])
        below = attribute_scores(down[used], [down_labels[k] for k in used])
        effects = {
            a: round(float((above[a] - below[a]).mean() / (2 * STEPS * spread[a])), 3)
            for a in spread
        }
        drift = [
            float(np.linalg.norm(face["descriptor"] - before["descriptor"]))
            for edited in (up_labels, down_labels)
            for k in used
            if (face := edited[k]) is not None and (before := start[k]) is not None
        ]
        effects["identity_distance_2_steps"] = round(float(np.mean(drift)), 3)
        effects["faces"] = len(used)
        save_direction(
            replace(d, measured={**d.measured, "effects": effects}), FOLDER / f"{name}.safetensors"
        )
        print(name, effects, flush=True)


if __name__ == "__main__":
    main()
