"""A projection at several amounts of equalization, with an edit under each (figures 7.5 to 7.7)."""

from __future__ import annotations

from typing import Any

from editability import EDITS, SHOWN, pictures, relative_responses
from histogram import histogram
from record import Figure, Finding
from sheet import Sheet, Tile
from studio import MAIN, Studio
from targets import portrait

from edits.equalization import equalize
from invert.metrics.distribution_distance import distribution_parts
from invert.metrics.reconstruction import projection_metrics

AMOUNTS = (0.0, 0.25, 0.5, 0.75, 1.0)
LIMITS = {"styles": (-2.5, 2.5)}
TILE = 220


def equalized_figure(studio: Studio, space: str, steps: int, *, grows: bool) -> Figure:
    """The portrait in `space` after `steps` without the distribution term.

    `grows` says whether [S] found edits to get stronger by it.
    """
    generator = studio.generator
    image = portrait(generator)
    projected = studio.project(image, space, steps, dist_weight=0.0)

    amounts = AMOUNTS if not studio.quick else AMOUNTS[::2]
    sheet = Sheet([f"amount {amount:g}" for amount in amounts], TILE)
    rows: list[dict[str, Any]] = []
    columns = []

    # One column of the sheet and one row of the table per amount.
    for amount in amounts:
        point = equalize(generator, projected.latent, amount)
        picture = generator.render(point)
        metrics = projection_metrics(generator, point, picture, image, studio.distances)
        wasserstein = metrics["wasserstein"]

        values, generated = distribution_parts(generator, point)["styles"]
        bars = histogram(values, generated, LIMITS["styles"], TILE)
        captions = (f"styles: W1 = {wasserstein['styles']:.3f}", f"{MAIN} {metrics[MAIN]:.3f}")
        columns.append(
            [Tile(bars, captions[0]), Tile(picture, captions[1]), *pictures(studio, point)]
        )
        response = relative_responses(studio, point)
        rows.append(
            {
                "amount": amount,
                **{f"wasserstein {part}": value for part, value in wasserstein.items()},
                MAIN: metrics[MAIN],
                **{f"response, {name}": value for name, value in response.items()},
            }
        )

    labels = (
        f"styles of {space}, {steps} steps",
        "picture",
        *(f"{name} {EDITS[name]:+g}" for name in SHOWN),
    )
    for label, tiles in zip(labels, zip(*columns, strict=True), strict=True):
        sheet.row(label, *tiles)

    # What the largest amount changes against none.
    first, last = rows[0], rows[-1]
    growth = None
    if first["response, all"] and last["response, all"] is not None:
        growth = last["response, all"] / first["response, all"]
    findings = [
        Finding(
            "response to equal strengths, amount 1 over amount 0",
            growth,
            at_least=1 if grows else None,
        ),
        Finding(f"{MAIN}, amount 1 over amount 0", last[MAIN] / first[MAIN]),
    ]

    settings = {
        "space": space,
        "steps": steps,
        "start": projected.start,
        "dist_weight": 0.0,
        "edits": EDITS,
    }
    return Figure(sheet, rows, findings, settings)
