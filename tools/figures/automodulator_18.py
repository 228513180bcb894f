"""[A] fig. 18: some styles of a face fixed, the others drawn anew

[A] samples faces that share the coarse styles of a given face (4 to 8 px: shape of the head, pose),
or its middle styles (16 to 32 px: expression, eyes and brows, accessories), with all other styles
random.

*Spread*: the standard deviation of a measured score over such samples, relative to that of faces
drawn whole: small where the fixed styles decide the score.
"""

from __future__ import annotations

from statistics import pstdev

from faces import Face
from record import Figure, Finding
from sheet import Sheet
from studio import Studio, command

from edits.style_mixing import style_mix
from invert.latents.latent import Latent
from invert.latents.layer_ranges import StyleRange, named_ranges

INPUTS = (19, 33)
FIXED = ("coarse", "middle")
SHOWN = 6
SAMPLES = 24
FIRST_SEED = 300_000
PSI = 0.7
SCORES = ("yaw", "pitch", "smile", "age", "gender")
TILE = 200


def sampled(studio: Studio, face: Latent, fixed: StyleRange, seed: int) -> Latent:
    """A random face with the styles of `fixed` from `face`."""
    return style_mix(studio.generator, studio.opened(seed, "W+", psi=PSI), face, fixed)


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    ranges = named_ranges(generator.network)
    seeds = range(FIRST_SEED, FIRST_SEED + studio.count(SAMPLES))

    # How much the scores vary over faces with nothing fixed.
    whole = studio.nets.measure(
        [generator.render(studio.opened(seed, "W+", psi=PSI)) for seed in seeds]
    )
    spread_of_all = spreads(whole)

    sheet = Sheet(("input", *(f"seed {seed}" for seed in seeds[:SHOWN])), TILE)
    rows: list[dict[str, str | int | float | None]] = []

    # The same with some styles of a given face fixed.
    for name in FIXED:
        for given in INPUTS:
            face = studio.opened(given, "W+", psi=PSI)
            pictures = [
                generator.render(sampled(studio, face, ranges[name], seed)) for seed in seeds
            ]
            sheet.row(
                f"{name} styles of seed {given} fixed", generator.render(face), *pictures[:SHOWN]
            )
            found = spreads(studio.nets.measure(pictures))
            relative = {f"spread of {s}": found[s] / spread_of_all[s] for s in SCORES if s in found}
            rows.append({"fixed": name, "input": given, **relative})

    yaw = [row.get("spread of yaw") for row in rows if row["fixed"] == "coarse"]
    findings = [
        Finding(f"spread of yaw with the coarse styles of seed {given} fixed", value, at_most=0.5)
        for given, value in zip(INPUTS, yaw, strict=True)
        if not isinstance(value, str)
    ]
    return Figure(sheet, rows, findings, {"inputs": INPUTS, "samples": len(seeds), "psi": PSI})


def spreads(found: list[Face | None]) -> dict[str, float]:
    """Standard deviation of every score over the detected faces; empty for fewer than two."""
    faces = [face for face in found if face is not None]
    if len(faces) < 2:
        return {}
    return {score: pstdev(face.scores[score] for face in faces) for score in SCORES}


if __name__ == "__main__":
    command(draw)()
