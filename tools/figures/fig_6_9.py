"""[S] fig. 6.9: where the projection starts, and when it stops

[S] compares starts from the encoder and from a random point, after 250 steps and at convergence.
From a random point the picture is poor and edits fail however long one optimizes. From the encoder
convergence is up to 25 % closer (LPIPS), but edits get worse.

As in [S], without the distribution term (`--dist-weight 0`). Steps count those of a two-stage
start. *Response* is the change of the smile's score from −s to +s over that of generated faces.
"""

from __future__ import annotations

from typing import Any

from editing import along, edited, mean_response, reference, responses, share
from record import Figure, Finding
from sheet import Sheet, Tile
from studio import LPIPS, MAIN, Studio, command
from targets import faces

from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.projection.initialization import InitName, possible_inits

SPACE = "FNW5"
EARLY, LATE = 200, 600
RANDOM_SEED = 77
EDIT, STRENGTH = "smile", 3.0
IMAGES = 1
TILE = 200


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    images = faces(generator, studio.count(IMAGES))
    names = possible_inits(generator, next(iter(images.values())), Space.parse(SPACE))
    starts: dict[str, InitName | Latent] = {name: name for name in names}
    starts["random"] = studio.opened(RANDOM_SEED, SPACE, psi=1.0)

    sheet = Sheet(
        ("image", *(f"{start}, {steps} steps" for start in starts for steps in (EARLY, LATE))), TILE
    )
    generated = reference(studio, EDIT, STRENGTH, EDIT)
    rows: list[dict[str, Any]] = []

    # Each image from every init, early and late: pictures, then edits.
    for name, image in images.items():
        made = {
            (start, steps): studio.project(image, SPACE, steps, dist_weight=0.0, init=init)
            for start, init in starts.items()
            for steps in (EARLY, LATE)
        }
        measured = {key: studio.measured(p, image) for key, p in made.items()}
        sheet.row(
            name,
            image,
            *(Tile(p.image, f"{MAIN} {measured[key][MAIN]:.3f}") for key, p in made.items()),
        )
        smiles = [
            generator.render(edited(studio, p.latent, EDIT, -STRENGTH)) for p in made.values()
        ]
        sheet.row(f"{name}, {EDIT} {-STRENGTH:+g}", None, *smiles)
        for (start, steps), projected in made.items():
            found = mean_response(
                responses(studio, [projected.latent], along(studio, EDIT, STRENGTH)), EDIT
            )
            rows.append(
                {
                    "image": name,
                    "start": start,
                    "steps": steps,
                    MAIN: measured[start, steps][MAIN],
                    LPIPS: measured[start, steps][LPIPS],
                    "response": share(found["change"], generated["change"]),
                    "identity": found["identity"],
                }
            )

    # How much closer the first init comes with more steps.
    first = names[0]
    findings = []
    for row in rows:
        if row["start"] == first and row["steps"] == LATE:
            early = next(
                r
                for r in rows
                if (r["image"], r["start"], r["steps"]) == (row["image"], first, EARLY)
            )
            for distance in (MAIN, LPIPS):
                what = f"{row['image']}, start {first}: {distance} lower at {LATE} steps than at"
                findings.append(Finding(f"{what} {EARLY} by", 1 - row[distance] / early[distance]))

    settings = {
        "steps": [EARLY, LATE],
        "random seed": RANDOM_SEED,
        "edit": EDIT,
        "strength": STRENGTH,
    }
    return Figure(sheet, rows, findings, settings)


if __name__ == "__main__":
    command(draw)()
