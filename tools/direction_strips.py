"""Draw directions at strengths -3 to 3 on a few faces: python tools/direction_strips.py OUT.png
NAME_OR_FILE ...
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from face_rendering import contact_sheet, ffhq_generator, render_faces

from directions.catalog import find

STRENGTHS = (-3, -2, -1, 0, 1, 2, 3)
PSI = 0.7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[300, 311, 325])
    parser.add_argument("--side", type=int, default=128)
    arguments = parser.parse_args()
    generator = ffhq_generator()

    ws = generator.sample(arguments.seeds, psi=PSI, space="W+").styles
    assert isinstance(ws, torch.Tensor)
    pictures, captions = [], []
    for d in map(find, arguments.names):
        for w in ws:
            edited = torch.stack([w + d.offset(generator.num_ws, s) for s in STRENGTHS])
            pictures.append(render_faces(generator, edited, arguments.side))
            captions += [f"{d.name} {s:+d}" for s in STRENGTHS]

    contact_sheet(np.concatenate(pictures), captions, len(STRENGTHS), arguments.out)


if __name__ == "__main__":
    main()
