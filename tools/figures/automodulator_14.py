"""[A] fig. 14: every face with the coarse, and with the middle styles of every other

[A] shows two matrices of faces. Rows keep face A; columns lend it the coarse styles (4 to 8 px), or
the middle ones (16 to 64 px), of face B. Coarse styles bring B's pose and the shape of its head,
middle ones finer traits. On the diagonal a face is mixed with itself.

*Follows*: the correlation, over all pictures off the diagonal, of a measured score with that of B,
and with that of A. The generator's middle range is 16 to 32 px here.
"""

from __future__ import annotations

import numpy as np
from faces import Face
from record import Figure, Finding
from sheet import Sheet
from studio import Studio, command
from torch import Tensor

from edits.style_mixing import style_mix

SEEDS = (0, 8, 44, 42, 75)
MATRICES = ("coarse", "middle")
SCORES = ("yaw", "pitch", "smile", "age", "gender")
TILE = 150


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    seeds = SEEDS[: studio.count(len(SEEDS))]
    points = [studio.opened(seed, "W+") for seed in seeds]
    own = [generator.render(point) for point in points]
    found = studio.nets.measure(own)

    # Every face with the named styles of every other.
    sheet = Sheet(("A below, B right", *(f"seed {seed}" for seed in seeds)), TILE)
    rows, follows = [], {}
    for layers in MATRICES:
        sheet.row(f"{layers} styles of B, the rest of A", None, *own)
        mixed: list[Tensor] = []
        for seed, a in zip(seeds, points, strict=True):
            pictures = [generator.render(style_mix(generator, a, b, layers)) for b in points]
            sheet.row("", own[seeds.index(seed)], *pictures)
            mixed += pictures

        # Whose attributes the mixtures have.
        faces = studio.nets.measure(mixed)
        for score in SCORES:
            with_a, with_b = follow(faces, found, score)
            rows.append(
                {"styles of B": layers, "score": score, "follows B": with_b, "follows A": with_a}
            )
            follows[layers, score] = with_a, with_b

    coarse, middle = follows["coarse", "yaw"], follows["middle", "yaw"]
    findings = [
        Finding("yaw follows B where its coarse styles are taken", coarse[1], at_least=0.8),
        Finding("yaw follows A where B's middle styles are taken", middle[0], at_least=0.8),
    ]
    return Figure(sheet, rows, findings, {"seeds": seeds, "psi": 0.7})


def follow(
    mixed: list[Face | None], own: list[Face | None], score: str
) -> tuple[float | None, float | None]:
    """Correlations of the mixtures' score with that of A and of B; None where there are too few
    faces.
    """
    n = len(own)
    table = []
    for k, face in enumerate(mixed):
        a, b = own[k // n], own[k % n]
        if k // n != k % n and face is not None and a is not None and b is not None:
            table.append([f.scores[score] for f in (face, a, b)])
    if len(table) < 3:
        return None, None
    correlations = np.corrcoef(np.array(table).T)
    return float(correlations[0, 1]), float(correlations[0, 2])


if __name__ == "__main__":
    command(draw)()
