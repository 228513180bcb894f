"""Make a set of labelled faces: python tools/face_labels.py OUT.npz --packages FOLDER --count 4000.

60 % of the faces are drawn at psi = 1, the others at psi uniform in 0.4 to 1. FOLDER is where the
npm packages named in `label_faces.mjs` are installed. Takes about a second per face on one core.
The file holds, for the faces that were found, `w` [n, 512] fp16, `age` in years, `male`, a
probability, `expressions` [n, 7], `landmarks` [n, 68, 2] in pixels of the 256 px picture,
`descriptor` [n, 128] and `detection`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
import torch
from face_rendering import ffhq_generator, render_faces

FIELDS = ("age", "male", "expressions", "landmarks", "descriptor", "detection")
SCRIPT = Path(__file__).with_name("label_faces.mjs")
BATCH = 50


def label_faces(pictures: np.ndarray, packages: Path) -> list[dict[str, np.ndarray] | None]:
    """Labels of pictures [N, 256, 256, 3], uint8, by name; None where no face was found."""
    done = subprocess.run(
        ["node", SCRIPT, packages],
        input=pictures.tobytes(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    # the nets greet on stdout
    lines = [
        line
        for line in done.stdout.decode().splitlines()
        if line == "null" or line.startswith('{"age"')
    ]
    if len(lines) != len(pictures):
        raise SystemExit(
            f"{len(pictures)} pictures, {len(lines)} labels; run {SCRIPT} by hand to see why"
        )
    found = [json.loads(line) for line in lines]
    return [
        face and {name: np.asarray(face[name], np.float32) for name in FIELDS} for face in found
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    arguments = parser.parse_args()

    generator = ffhq_generator()

    # Most faces with psi 1, others nearer to the mean.
    rng = np.random.default_rng(arguments.first_seed)
    psi = torch.from_numpy(
        np.where(rng.random(arguments.count) < 0.6, 1, rng.uniform(0.4, 1, arguments.count))
    )
    ws = generator.sample(
        range(arguments.first_seed, arguments.first_seed + arguments.count)
    ).styles
    assert isinstance(ws, torch.Tensor)
    ws = generator.w_avg + psi[:, None].to(ws) * (ws - generator.w_avg)

    # Labels of the faces that are detected.
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ("w", *FIELDS)}
    for batch in ws.split(BATCH):
        for w, face in zip(
            batch, label_faces(render_faces(generator, batch), arguments.packages), strict=True
        ):
            if face is not None:
                rows["w"].append(w.numpy())
                for name in FIELDS:
                    rows[name].append(face[name])
        print(f"{len(rows['w'])} faces", flush=True)

    half = ("w", "landmarks", "descriptor")
    arrays = {
        k: np.stack(v).astype(np.float16 if k in half else np.float32) for k, v in rows.items()
    }
    np.savez_compressed(arguments.out, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
