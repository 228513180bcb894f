"""Edits: functions that take latents and return a new one.

    edit         along a direction, such as a smile, by a strength in standard deviations
    mix          a region of one latent in another, under a mask
    place        several latents on one canvas
    crop         a rectangle of a latent
    style_mix    a range of styles from another latent
    interpolate  between two latents
    combine      a + (b − c)
    equalize     values moved towards the distribution that the generator makes

Every edit leaves an entry in the latent's metadata (`edits.log`). The functions are imported on
first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from invert.commands.shadowing import require

require("directions")  # edits import it; a user's directions.py would be read in its place

if TYPE_CHECKING:
    from edits.along_direction import edit
    from edits.canvas import Placement, crop, place
    from edits.equalization import equalize
    from edits.mixer import mix
    from edits.style_mixing import combine, interpolate, style_mix

HOMES = {
    "Placement": "edits.canvas",
    "combine": "edits.style_mixing",
    "crop": "edits.canvas",
    "edit": "edits.along_direction",
    "equalize": "edits.equalization",
    "interpolate": "edits.style_mixing",
    "mix": "edits.mixer",
    "place": "edits.canvas",
    "style_mix": "edits.style_mixing",
}

__all__ = [
    "Placement",
    "combine",
    "crop",
    "edit",
    "equalize",
    "interpolate",
    "mix",
    "place",
    "style_mix",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in HOMES:
        raise AttributeError(f"module 'edits' has no attribute {name!r}")
    value = getattr(import_module(HOMES[name]), name)
    globals()[name] = value
    return value
