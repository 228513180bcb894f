"""A score for eyeglasses from face descriptors: python tools/face_glasses.py --packages FOLDER
learns it.

None of the nets knows glasses, and the linear score in W judges latents, not pictures. But the net
that describes a face for telling people apart sees them: this is a logistic regression on its
descriptor, over the seeds of `glasses.csv` that were judged by eye. Writes `face_glasses.json`: the
weights, and how well they tell faces that took no part. FOLDER is as for `face_labels.py`. Takes
ten minutes on one core.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from face_labels import label_faces
from face_rendering import ffhq_generator, render_faces

from directions.scored_samples import read_scores, style_vectors

Array = np.ndarray

WEIGHTS = Path(__file__).with_suffix(".json")
LABELS = Path(__file__).with_name("glasses.csv")
PSI = 0.9  # of the seeds in it
BATCH = 40
FOLDS = 10
PENALTY = 10.0  # C of the logistic regression


def glasses_score(descriptor: Array) -> float:
    """Log-odds that a face with this descriptor [128] wears eyeglasses."""
    model = weights()
    return float(descriptor @ np.array(model["weights"]) + model["bias"])


@cache
def weights() -> dict[str, Any]:
    return json.loads(WEIGHTS.read_text(encoding="utf-8"))


def labelled(packages: Path) -> tuple[Array, Array]:
    """Descriptors [N, 128] and labels [N] (1 with glasses) of the seeds with a face."""
    generator = ffhq_generator()
    table = read_scores(LABELS)
    descriptors, labels = [], []
    for start in range(0, len(table.samples), BATCH):
        batch = slice(start, start + BATCH)
        pictures = render_faces(generator, style_vectors(generator, table.samples[batch], psi=PSI))
        for face, label in zip(
            label_faces(pictures, packages), table.scores[batch].tolist(), strict=True
        ):
            if face is not None:
                descriptors.append(face["descriptor"])
                labels.append(label)
    return np.stack(descriptors), np.array(labels)


def learn(x: Array, y: Array) -> dict[str, Any]:
    """The weights on all faces, and the accuracy of ten models, each on the tenth that it had not
    seen.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=3000)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    held_out = cross_val_predict(model, x, y, cv=folds, method="decision_function")
    model.fit(x, y)
    return {
        "faces": len(y),
        "with glasses": int(y.sum()),
        "held-out balanced accuracy": round(float(balanced_accuracy_score(y, held_out > 0)), 4),
        "held-out area under the ROC curve": round(float(roc_auc_score(y, held_out)), 4),
        "bias": round(float(model.intercept_[0]), 5),
        "weights": [round(float(w), 5) for w in model.coef_[0]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, required=True)
    arguments = parser.parse_args()
    model = learn(*labelled(arguments.packages))
    WEIGHTS.write_text(json.dumps(model) + "\n", encoding="utf-8")
    print({name: value for name, value in model.items() if name != "weights"})


if __name__ == "__main__":
    main()
