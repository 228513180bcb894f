"""Beyond [S]: edits of close fits that warp the residual

[S] edits F_5 by an attribute model. A close fit holds more in F_5 than any model of generated faces
moves: when a mouth closes, the fitted teeth show through. The feature edit "residual" changes F_5
as the features of its W+ companion change, like "difference"; the residual, what F_5 holds beyond
them, is warped along, and damped where the edit puts something else. Runs before the names of
feature edits changed say "repaint" for "residual" and "styles" for "keep".

Projections into FNW5; *share* is the mean change of the score from −s to +s over that of generated
faces in NW+. *Identity* is the mean distance of the face descriptor from that of the unedited
projection (0.6 and less is usually one person). *One way* is the score after the edit that is
shown, of the portrait.
"""

from __future__ import annotations

from typing import Any

from editing import along, edited, has_model, mean_response, reference, responses, share
from record import Figure
from sheet import Sheet
from studio import Studio, command
from targets import faces

SPACE = "FNW5"
STEPS = 200
IMAGES = 5
SHOWN = 2
EDITS = {"smile": -3.0, "glasses": 3.0, "yaw": -2.0, "age": 3.0}
FEATURE_EDITS = ("keep", "model", "difference", "residual")
TILE = 200


def draw(studio: Studio) -> Figure:
    images = faces(studio.generator, studio.count(IMAGES))
    projections = {name: studio.project(image, SPACE, STEPS) for name, image in images.items()}
    points = [p.latent for p in projections.values()]
    before = studio.nets.measure([p.image for p in projections.values()])

    sheet = Sheet(("projection", *(f"{name} {s:+g}" for name, s in EDITS.items())), TILE)
    rows: list[dict[str, Any]] = []
    one_way: dict[str, dict[str, float | None]] = {}

    # Each way of editing features: pictures of the first images, then means over all.
    for features in FEATURE_EDITS:
        carried = [name for name in EDITS if features != "model" or has_model(studio, name, SPACE)]
        for k, (name, projected) in enumerate(projections.items()):
            if k < SHOWN:
                pictures = {
                    edit: studio.generator.render(
                        edited(studio, projected.latent, edit, EDITS[edit], features=features)
                    )
                    for edit in carried
                }
                sheet.row(
                    f"{name}, {features}", projected.image, *(pictures.get(edit) for edit in EDITS)
                )
                found = studio.nets.measure(list(pictures.values()))
                one_way[f"{name}, {features}"] = {
                    edit: None if face is None else face.scores[edit]
                    for edit, face in zip(pictures, found, strict=True)
                }

        for edit in carried:
            size = abs(EDITS[edit])
            mean = mean_response(
                responses(studio, points, along(studio, edit, size, features=features), before),
                edit,
            )
            generated = reference(studio, edit, size, edit)
            shown = one_way[f"{next(iter(projections))}, {features}"][edit]
            part = share(mean["change"], generated["change"])
            rows.append(
                {
                    "direction": f"{edit} ±{size:g}",
                    "carried by": features,
                    "share": part,
                    "one way": shown,
                    **mean,
                }
            )

    # By direction, in the order of the edits.
    rows.sort(
        key=lambda row: [f"{name} ±{abs(s):g}" for name, s in EDITS.items()].index(row["direction"])
    )
    settings = {"space": SPACE, "steps": STEPS, "edits": EDITS, "images": list(images)}
    return Figure(sheet, rows, [], settings, one_way)


if __name__ == "__main__":
    command(draw)()
