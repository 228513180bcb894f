"""[S] fig. 6.2: FNW5 and NW+, at equal steps and at convergence

[S] projects photographs into NW+ and FNW5: FNW5 keeps far more detail, the background included, and has 10 to 15 %
lower LPIPS after 250 steps, 25 to 35 % lower at convergence.

The portrait and nine generated faces with random noise; both spaces start from the encoder. Distances are
ST-LPIPS with VGG at 256 px, lower is better, the ratio is FNW5 over NW+. The other distances are in the JSON file.
"""

from __future__ import annotations

from statistics import mean
from typing import Any

from record import Figure, Finding
from sheet import Sheet, Tile
from studio import DISTANCES, Studio, command
from targets import faces

SPACES = ("NW+", "FNW5")
EQUAL, CONVERGED = 200, 600
WANTED = {EQUAL: 0.15, CONVERGED: 0.30}  # share by which FNW5 is to be lower
IMAGES = 10
SHOWN = 5
TILE = 200
MAIN = DISTANCES[0]


def draw(studio: Studio) -> Figure:
    sheet = Sheet(("image", *(f"{space}, {steps} steps" for steps in WANTED for space in SPACES)), TILE)
    rows: list[dict[str, Any]] = []
    details: dict[str, Any] = {}
    for name, image in faces(studio.generator, studio.count(IMAGES)).items():
        tiles = [Tile(image)]
        for steps in WANTED:
            found = {}
            for space in SPACES:
                projected = studio.project(image, space, steps)
                found[space] = studio.measured(projected, image)
                details[f"{name}, {space}, {steps}"] = {
                    **found[space],
                    "start": projected.start,
                    "best_step": projected.best_step,
                    "seconds": projected.seconds,
                }
                tiles.append(Tile(projected.image, f"{MAIN} {found[space][MAIN]:.3f}"))
            values = {space: found[space][MAIN] for space in SPACES}
            rows.append({"image": name, "steps": steps, **values, "ratio": values["FNW5"] / values["NW+"]})
        if len(sheet.rows) < SHOWN:
            sheet.row(name, *tiles)
    findings = []
    names = [d.name for d in studio.distances]
    for steps, share in WANTED.items():
        for distance in (*names, "mse"):
            pairs = [
                [details[f"{row['image']}, {s}, {steps}"][distance] for s in SPACES]
                for row in rows
                if row["steps"] == steps
            ]
            lower = 1 - mean(b / a for a, b in pairs)
            what = f"{steps} steps: {distance} lower in FNW5 by (mean share)"
            findings.append(Finding(what, lower, at_least=share if distance == MAIN else None))
    missing = {"lpips-vgg": "its trunk is not in torch's cache"} if "lpips-vgg" not in names else {}
    return Figure(sheet, rows, findings, {"steps": list(WANTED), "not measured": missing}, details)


if __name__ == "__main__":
    command(draw)()
