"""Learn the bundled catalogue of FFHQ directions: python tools/make_directions.py LABELS.npz.

LABELS.npz is a set as `face_labels.py` writes it. Attributes that it has no labels for are measured
on pictures of its first faces (hair-dark, light-from-left) or were judged by eye: `glasses.csv`
lists seeds, sampled at psi = 0.9, of faces with clear eyeglasses (1) and without any (0);
sunglasses and doubtful cases were left out. Takes ten minutes on one core.

Writes the catalogue and the plain regressions before orthogonalization (`score-NAME`).
`measure_directions.py` adds to the files what the directions do to rendered faces.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from face_rendering import ffhq_generator, render_faces
from face_scores import geometry, hair_darkness, light_from_left
from torch import Tensor

from directions.catalog import FOLDER, SCORE_PREFIX, SUFFIX
from directions.diagnostics import measure
from directions.direction import Direction
from directions.direction_files import load_direction, save_direction
from directions.regression import Kind, learn
from directions.scored_samples import read_scores, style_vectors
from directions.w_space import WSpace
from invert.latents.layer_ranges import StyleRange

if TYPE_CHECKING:
    from invert.generator import Generator

HAPPY = 1  # of the seven expressions
GLASSES = Path(__file__).with_name("glasses.csv")
GLASSES_PSI = 0.9
PIXEL_FACES = 600


NETS = "@vladmandic/face-api 1.7.15 on rendered faces"
PIXELS = "luminance of rendered faces"
# Eyes are judged on faces that look ahead: lids of a turned head are foreshortened.
FRONTAL = 0.2  # |yaw|, nose offset in eye distances


@dataclass(frozen=True)
class Recipe:
    """How one entry is learned.

    `against` and `styles` were chosen by effects on rendered faces (`measure_directions.py`) and by
    looking at strips:
    they take more from the unwanted changes than from the wanted one.
    """

    name: str
    meaning: str
    kind: Kind
    labels: str
    against: tuple[str, ...] = ()
    styles: StyleRange | None = None


RECIPES = (
    Recipe("smile", "smiling", "logistic", f"happy > 0.5, {NETS}", ("eyes-open", "gender"), (0, 8)),
    Recipe(
        "age",
        "older",
        "linear",
        f"years, {NETS}",
        ("smile", "pitch", "mouth-open", "eyes-open", "glasses"),
    ),
    Recipe(
        "gender",
        "more masculine",
        "logistic",
        f"male > 0.5, {NETS}",
        ("smile", "mouth-open", "age", "eyes-open"),
    ),
    Recipe(
        "yaw",
        "turned to the viewer's right: the nose moves right in the image",
        "linear",
        f"68 landmarks, {NETS}",
        ("smile", "pitch"),
        (0, 6),
    ),
    Recipe(
        "pitch",
        "looking up: the nose rises between eyes and chin",
        "linear",
        f"68 landmarks, {NETS}",
        ("mouth-open", "eyes-open", "yaw", "smile"),
        (0, 6),
    ),
    Recipe(
        "mouth-open",
        "mouth opened wider",
        "linear",
        f"68 landmarks, {NETS}",
        ("smile", "pitch"),
        (0, 8),
    ),
    Recipe(
        "eyes-open",
        "eyes opened wider",
        "linear",
        f"68 landmarks of faces that look ahead, {NETS}",
        ("smile", "yaw", "age", "pitch", "gender", "glasses"),
        (2, 9),
    ),
    Recipe(
        "glasses",
        "wearing eyeglasses",
        "logistic",
        "seeds judged by eye, psi 0.9",
        ("age", "gender", "smile"),
        (0, 6),
    ),
    Recipe(
        "hair-dark",
        "darker hair, relative to the skin",
        "linear",
        f"cheeks over hair, {PIXELS}",
        ("age",),
    ),
    Recipe(
        "light-from-left",
        "light falling from the viewer's left: the left half of the face in the image is brighter",
        "linear",
        f"left cheek over right, {PIXELS}",
        ("yaw",),
    ),
)


def labelled(generator: Generator, path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """ws [N, 512] and scores [N] of every attribute."""
    data = np.load(path, allow_pickle=False)
    ws = torch.from_numpy(data["w"].astype(np.float32))
    landmarks = data["landmarks"].astype(np.float64)
    scores = {
        "smile": data["expressions"][:, HAPPY],
        "age": data["age"],
        "gender": data["male"],
        **geometry(landmarks),
    }
    table = {name: (ws, torch.from_numpy(np.asarray(s, np.float64))) for name, s in scores.items()}

    # Eyes are judged in faces that look ahead.
    ahead = torch.from_numpy(np.abs(scores["yaw"]) < FRONTAL)
    table["eyes-open"] = ws[ahead], table["eyes-open"][1][ahead]

    # Scores of pixels, on fewer faces.
    few = ws[:PIXEL_FACES]
    pictures = render_faces(generator, few)
    for name, score in (("hair-dark", hair_darkness), ("light-from-left", light_from_left)):
        values = [
            score(picture, points) for picture, points in zip(pictures, landmarks, strict=False)
        ]
        table[name] = few, torch.tensor(values, dtype=torch.float64)

    # Glasses from a table of seeds.
    glasses = read_scores(GLASSES)
    table["glasses"] = style_vectors(generator, glasses.samples, psi=GLASSES_PSI), glasses.scores
    return table


def effects(path: Path, direction: Direction) -> dict[str, Any]:
    """What `measure_directions.py` once wrote into the file, if the direction is still the same."""
    if not path.exists():
        return {}
    old = load_direction(path)
    same = torch.equal(old.vectors, direction.vectors) and old.styles == direction.styles
    return {"effects": old.measured["effects"]} if same and "effects" in old.measured else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()

    generator = ffhq_generator()
    space = WSpace.from_generator(generator)
    table = labelled(generator, arguments.labels)
    plain = {r.name: learn(*table[r.name], name=r.name, space=space, kind=r.kind) for r in RECIPES}

    # Each direction alone, then orthogonal to those that it should not move.
    entries: list[Direction] = []
    for r in RECIPES:
        others = [plain[name] for name in r.against]
        d = learn(
            *table[r.name],
            name=r.name,
            space=space,
            kind=r.kind,
            against=others,
            styles=r.styles,
            meaning=r.meaning,
        )
        before = (
            {"held_out_before_orthogonalization": plain[r.name].measured["held_out"]}
            if others
            else {}
        )
        entries.append(
            replace(d, source={**d.source, "labels": r.labels}, measured={**d.measured, **before})
        )
        plain[r.name] = replace(
            plain[r.name], meaning=r.meaning, source={**plain[r.name].source, "labels": r.labels}
        )

    # Files of both, with what linear models say of them.
    arguments.out.mkdir(parents=True, exist_ok=True)
    for d in entries:
        save_direction(plain[d.name], arguments.out / f"{SCORE_PREFIX}{d.name}{SUFFIX}")
        path = arguments.out / f"{d.name}{SUFFIX}"
        found = measure(d, space, list(plain.values()))
        linear = {
            "leakage": {name: round(value, 4) for name, value in found.leakage.items()},
            "spread_ratio": round(found.spread_ratio, 3),
        }
        save_direction(replace(d, measured={**d.measured, **linear, **effects(path, d)}), path)
        print(
            f"{d.name}: {d.measured['metric']} {d.measured['held_out']}, "
            f"sigma {d.sigma:.2f}; {found.verdict}"
        )


if __name__ == "__main__":
    main()
