"""[A] fig. 8: an attribute from four exemplars, on its own scales and on all

[A] takes the difference of the means of four faces with an attribute and four without. Such a
vector holds whatever else the eight happen to differ in. Driven on all scales it changes texture,
size and pose too; on the scales where the attribute is made, the rest does not come through.

Exemplars are seeds: for glasses the first of `tools/glasses.csv`, for the smile the faces among 64
that the nets find happiest and least happy. The scales are chosen by hand, as in [A]. *On target*
is the change of the attribute's score from −s to +s. *Off target* is the mean absolute change of
yaw, pitch, age and gender, each in its standard deviations over the unedited faces; *identity* the
mean distance of the face descriptor from that of the unedited face, *pixels* the mean absolute
difference of the two pictures as a fraction of the range.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from editing import mean_response, responses, share
from record import Figure, Finding
from sheet import Sheet
from studio import Studio, command
from torch import Tensor

from directions.exemplars import from_exemplars
from directions.scored_samples import read_scores
from directions.w_space import WSpace
from edits.along_direction import move
from invert.generator import Generator
from invert.latents.latent import Latent, Styles
from invert.latents.layer_ranges import StyleRange

GLASSES = Path(__file__).resolve().parents[1] / "glasses.csv"
GLASSES_PSI = 0.9
SMILE_SEEDS = range(400_000, 400_064)
EXEMPLARS = 4
# inputs of 8 to 16 px, and of 4 to 16 px
RANGES: dict[str, StyleRange] = {"smile": (2, 6), "glasses": (0, 6)}
OFF_TARGET = ("yaw", "pitch", "age", "gender")
STRENGTH = 4.0
SHOWN = (48, 35)
MEASURED = range(500_000, 500_016)


def glasses_exemplars(studio: Studio) -> tuple[list[int], list[int], float]:
    """Seeds with and without glasses, and their psi."""
    table = read_scores(GLASSES)
    seeds = [s for s in table.samples if isinstance(s, int)]
    groups = [
        [s for s, y in zip(seeds, table.scores, strict=True) if y == k][:EXEMPLARS] for k in (1, 0)
    ]
    return groups[0], groups[1], GLASSES_PSI


def smile_exemplars(studio: Studio) -> tuple[list[int], list[int], float]:
    """The seeds of the happiest and the least happy faces, and their psi."""
    seeds = list(SMILE_SEEDS[: max(2 * EXEMPLARS, studio.count(len(SMILE_SEEDS)))])
    found = studio.nets.measure(
        [studio.generator.render(studio.opened(seed, "W")) for seed in seeds]
    )
    scores = {
        seed: face.scores["smile"]
        for seed, face in zip(seeds, found, strict=True)
        if face is not None
    }
    order = sorted(scores, key=lambda seed: scores[seed])
    return order[-EXEMPLARS:], order[:EXEMPLARS], 0.7


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    space = WSpace.from_generator(generator)
    shown, measured = (
        [studio.opened(seed, "W+") for seed in seeds]
        for seeds in (SHOWN, MEASURED[: studio.count(len(MEASURED))])
    )

    # Scores of the unedited faces, and how much each varies.
    before = studio.nets.measure([generator.render(point) for point in measured])
    spread = {
        score: pstdev(face.scores[score] for face in before if face is not None)
        for score in OFF_TARGET
    }

    columns = [
        f"{name} {STRENGTH:+g}, {which}"
        for name in RANGES
        for which in ("its scales", "all scales")
    ]
    sheet = Sheet(("face", *columns))
    pictures: list[list[Tensor]] = [[generator.render(point)] for point in shown]
    rows: list[dict[str, Any]] = []
    findings, seeds = [], {}

    # One direction per attribute, from its exemplars.
    for name, exemplars in (("smile", smile_exemplars), ("glasses", glasses_exemplars)):
        positive, negative, psi = exemplars(studio)
        seeds[name] = {"with": positive, "without": negative, "psi": psi}
        groups = [generator.sample(group, psi=psi).styles for group in (positive, negative)]
        direction = from_exemplars(*map(one_tensor, groups), name=name, space=space)

        # Its edit on the attribute's own scales, then on all.
        ratios = []
        for limits in (RANGES[name], None):
            offset = direction.offset(generator.num_ws, STRENGTH, limits)
            mover = partial(moved, generator, offset)
            for row, point in zip(pictures, shown, strict=True):
                row.append(generator.render(mover(point, 1)))
            found = responses(studio, measured, mover, before)
            means = mean_response(found, name)
            off = mean(
                abs(r.change[score]) / spread[score]
                for r in found
                if r.change
                for score in OFF_TARGET
            )
            ratios.append(share(off, means["change"]))
            rows.append(
                {
                    "attribute": name,
                    "styles": "all" if limits is None else f"{limits[0]}-{limits[1]}",
                    "on target": means["change"],
                    "off target": off,
                    "identity": means["identity"],
                    "pixels": means["pixels"],
                }
            )

        what = f"{name}: off target per on target, on its own scales over that on all"
        findings.append(Finding(what, share(*ratios), at_most=1))

    for seed, row in zip(SHOWN, pictures, strict=True):
        sheet.row(f"seed {seed}", *row)
    settings = {
        "exemplars": seeds,
        "ranges": RANGES,
        "strength": STRENGTH,
        "faces": len(measured),
        "psi": 0.7,
    }
    return Figure(sheet, rows, findings, settings)


def moved(generator: Generator, offset: Tensor, point: Latent, sign: int) -> Latent:
    return move(generator, point, sign * offset)


def one_tensor(styles: Styles) -> Tensor:
    assert isinstance(styles, Tensor)
    return styles


if __name__ == "__main__":
    command(draw)()
