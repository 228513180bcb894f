"""[S] fig. 6.8: how an edit reaches F_5

[S] moves generated points along a direction in three ways: with all styles in NW+, which is the
aim; with the styles alone in FNW5; and with an attribute model for F_5 and the styles. Styles alone
leave pose and glasses as they are and change only what should not change; the attribute model does
the same as the edit in NW+.

Generated faces; *share* is the mean change of the score from −s to +s over that of the edit in NW+.
The feature edit "difference" takes F_5 of the same edit in W+. It is exact on generated points,
which checks the instruments. "keep" edits the styles alone; runs before the name changed say
"styles". *Identity* is the mean distance of the face descriptor from that of the unedited face.
"""

from __future__ import annotations

from typing import Any

from editing import along, edited, has_model, mean_response, responses, share
from record import Figure, Finding
from sheet import Sheet
from studio import Studio, command

from invert.latents.latent import Latent

SEEDS = range(600_000, 600_032)
SHOWN = 2
EDITS = {"yaw": 2.0, "glasses": 3.0, "smile": 3.0, "age": 3.0}
SPACE = "FNW5"
FEATURE_EDITS = ("keep", "difference", "model")
WANTED = {"model": (0.8, None), "keep": (None, 0.35)}  # shares of the yaw's change
TILE = 150


def draw(studio: Studio) -> Figure:
    generator = studio.generator
    seeds = SEEDS[: studio.count(len(SEEDS))]
    plain = [studio.opened(seed, "NW+") for seed in seeds]
    opened = [studio.opened(seed, SPACE) for seed in seeds]
    before = studio.nets.measure([generator.render(point) for point in plain])
    ways: dict[str, list[Latent]] = {"NW+": plain, **dict.fromkeys(FEATURE_EDITS, opened)}

    # The ways in which each edit can be made.
    carried = {
        name: [c for c in FEATURE_EDITS if c != "model" or has_model(studio, name, SPACE)]
        for name in EDITS
    }
    signs = [(name, sign * strength) for name, strength in EDITS.items() for sign in (-1, 1)]

    # Pictures of the first faces.
    sheet = Sheet(("face", *(f"{name} {s:+g}" for name, s in signs)), TILE)
    for k in range(min(SHOWN, len(seeds))):
        for way, points in ways.items():
            pictures = [
                generator.render(edited(studio, points[k], name, s, features=features_of(way)))
                if way == "NW+" or way in carried[name]
                else None
                for name, s in signs
            ]
            sheet.row(f"seed {seeds[k]}, {way}", generator.render(points[k]), *pictures)

    # Means over all faces, as shares of the change in NW+.
    rows: list[dict[str, Any]] = []
    findings = []
    for name, strength in EDITS.items():
        whole: float | None = None
        for way in ("NW+", *carried[name]):
            mover = along(studio, name, strength, features=features_of(way))
            found = mean_response(responses(studio, ways[way], mover, before), name)
            whole = found["change"] if way == "NW+" else whole
            part = share(found["change"], whole)
            rows.append(
                {"direction": f"{name} ±{strength:g}", "carried by": way, "share": part, **found}
            )
            if name == "yaw" and way in WANTED:
                least, most = WANTED[way]
                findings.append(
                    Finding(
                        f"yaw, {way}: share of the change in NW+",
                        part,
                        at_least=least,
                        at_most=most,
                    )
                )
    return Figure(sheet, rows, findings, {"seeds": list(seeds), "edits": EDITS, "psi": 0.7})


def features_of(way: str) -> str:
    """How the edit changes F_5; NW+ has none."""
    return "auto" if way == "NW+" else way


if __name__ == "__main__":
    command(draw)()
