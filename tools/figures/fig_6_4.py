"""[S] fig. 6.4: equal edits of projections into NW+ and into FNW5

[S] edits both projections of a photograph with the same strength: the change is comparable, and
FNW5 keeps the detail and the background that NW+ never had.

*Response* is the change of the attribute's score from −s to +s over that of generated faces (1:
reacts as they do), the mean over the images. *Identity* is the mean distance of the face descriptor
from that of the unedited projection; under 0.6 two pictures usually show one person.
"""

from __future__ import annotations

from statistics import mean

from editing import along, edited, mean_response, reference, responses, share
from record import Figure
from sheet import Sheet, Tile
from studio import MAIN, Studio, command
from targets import faces

from invert.latents.latent import Latent

SPACES = ("NW+", "FNW5")
STEPS = 200
IMAGES = 3
EDITS = {"smile": -3.0, "glasses": 3.0, "age": 3.0, "yaw": 2.0}
TILE = 180


def draw(studio: Studio) -> Figure:
    sheet = Sheet(
        ("photograph", "projection", *(f"{name} {s:+g}" for name, s in EDITS.items())), TILE
    )
    points: dict[str, list[Latent]] = {space: [] for space in SPACES}
    distances: dict[str, list[float]] = {space: [] for space in SPACES}

    # Pictures: every image in both spaces, with its edits.
    for name, image in faces(studio.generator, studio.count(IMAGES)).items():
        for space in SPACES:
            projected = studio.project(image, space, STEPS)
            points[space].append(projected.latent)
            distances[space].append(studio.measured(projected, image)[MAIN])
            pictures = [
                studio.generator.render(edited(studio, projected.latent, d, strength))
                for d, strength in EDITS.items()
            ]
            tile = Tile(projected.image, f"{MAIN} {distances[space][-1]:.3f}")
            sheet.row(f"{name}, {space}", image if space == SPACES[0] else None, tile, *pictures)

    # Means over the images, beside generated faces.
    rows = []
    for direction, strength in EDITS.items():
        generated = reference(studio, direction, abs(strength), direction)
        for space in SPACES:
            found = mean_response(
                responses(studio, points[space], along(studio, direction, abs(strength))), direction
            )
            rows.append(
                {
                    "edit": f"{direction} ±{abs(strength):g}",
                    "space": space,
                    MAIN: mean(distances[space]),
                    "response": share(found["change"], generated["change"]),
                    "identity": found["identity"],
                    "identity, generated faces": generated["identity"],
                }
            )
    return Figure(sheet, rows, settings={"steps": STEPS, "edits": EDITS})


if __name__ == "__main__":
    command(draw)()
