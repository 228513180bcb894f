"""How well a point can be edited: the responses to a few directions, each relative to generated
faces.
"""

from __future__ import annotations

from statistics import mean

from editing import along, edited, mean_response, reference, responses, share
from studio import Studio
from torch import Tensor

from invert.latents.latent import Latent

EDITS = {"smile": -3.0, "glasses": 3.0, "age": 3.0, "yaw": 2.0}
SHOWN = ("smile", "glasses")


def relative_responses(studio: Studio, point: Latent) -> dict[str, float | None]:
    """Change of each attribute's score from −s to +s over the mean of generated faces; "pixels" and
    "all" too.

    "all" is the mean over the attributes; "pixels" compares the mean absolute change of the picture
    in the same way.
    """
    before = studio.nets.measure([studio.generator.render(point)])
    found: dict[str, float | None] = {}
    pixels = []
    for name, strength in EDITS.items():
        size = abs(strength)
        here = mean_response(responses(studio, [point], along(studio, name, size), before), name)
        generated = reference(studio, name, size, name)
        found[name] = share(here["change"], generated["change"])
        pixels.append(here["pixels"] / generated["pixels"])
    seen = [found[name] for name in EDITS]
    found["all"] = None if None in seen else mean(value for value in seen if value is not None)
    found["pixels"] = mean(pixels)
    return found


def pictures(studio: Studio, point: Latent) -> list[Tensor]:
    """The point after each of the edits that figures show."""
    return [studio.generator.render(edited(studio, point, name, EDITS[name])) for name in SHOWN]
