"""[S] fig. 7.4: styles of projections are not distributed as generated ones

[S] pools all values of the styles of a projection into NW+ and compares them with those of W:
Wasserstein distances of 0.55 to 0.65, where a generated w has 0.047 ± 0.028.

Grey: values of 4096 generated w; line: the projection. *Deviation* is the standard deviation over
generated w.
"""

from __future__ import annotations

from statistics import mean
from typing import Any

from histogram import histogram
from record import Figure, Finding
from sheet import Sheet, Tile
from studio import MAIN, Studio, command
from targets import faces

from invert.latents.distributions import wasserstein
from invert.metrics.distribution_distance import distribution_parts

SPACE = "NW+"
STEPS = (200, 600)
IMAGES = 5
RANDOM = range(700_000, 700_256)
LIMITS = (-3.0, 3.0)
TILE = 220


def draw(studio: Studio) -> Figure:
    random, generated = distribution_parts(studio.generator, studio.generator.sample(RANDOM))[
        "styles"
    ]
    distances = wasserstein(random, generated)
    usual = distances.mean().item()

    # Projections with more and more steps.
    images = faces(studio.generator, studio.count(IMAGES))
    sheet = Sheet(tuple(images), TILE)
    sheet.row("", *images.values())
    rows: list[dict[str, Any]] = [
        {
            "styles": "generated w",
            "steps": None,
            "wasserstein": usual,
            "deviation": distances.std().item(),
        }
    ]

    findings = []
    for steps in STEPS:
        tiles, found = [], []
        for name, image in images.items():
            projected = studio.project(image, SPACE, steps)
            metrics = studio.measured(projected, image)
            found.append(metrics["wasserstein styles"])
            values, _ = distribution_parts(studio.generator, projected.latent)["styles"]
            picture = histogram(values, generated, LIMITS, TILE)
            tiles.append(Tile(picture, f"W1 = {found[-1]:.3f}, {MAIN} {metrics[MAIN]:.3f}"))
            rows.append(
                {"styles": name, "steps": steps, "wasserstein": found[-1], MAIN: metrics[MAIN]}
            )
        sheet.row(f"{SPACE}, {steps} steps", *tiles)
        findings.append(
            Finding(f"{steps} steps: mean distance over that of a generated w", mean(found) / usual)
        )
    return Figure(sheet, rows, findings, {"steps": STEPS, "random faces": len(RANDOM)})


if __name__ == "__main__":
    command(draw)()
