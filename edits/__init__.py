"""Edits: functions that take latents and return a new one.

    edit         along a direction, such as a smile, by a strength in standard deviations
    sweep        at several strengths
    chain        along several directions
    move         by an offset of the styles
    mix          a region of one latent in another, under a mask
    place        several latents on one canvas
    crop         a rectangle of a latent
    shift        the content of a latent, by cells
    style_mix    a range of styles from another latent
    resample     a range of styles drawn anew
    interpolate  between two latents; `frames` gives the way in steps
    combine      a + (b − c)
    equalize     values moved towards the distribution that the generator makes

Every edit leaves an entry in the latent's metadata (`edits.log`). The functions are imported on
first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from invert.commands.shadowing import require
from invert.lazy_names import lazy_names

require("directions")  # edits import it; a user's directions.py would be read in its place

if TYPE_CHECKING:
    from edits.along_direction import EditStep, chain, edit, move, sweep
    from edits.canvas import Placement, crop, place, shift
    from edits.equalization import equalize
    from edits.feature_edits import Displacement, FeatureEdit
    from edits.mixer import mix
    from edits.style_mixing import combine, frames, interpolate, resample, style_mix

HOMES = {
    "Displacement": "edits.feature_edits",
    "EditStep": "edits.along_direction",
    "FeatureEdit": "edits.feature_edits",
    "Placement": "edits.canvas",
    "chain": "edits.along_direction",
    "combine": "edits.style_mixing",
    "crop": "edits.canvas",
    "edit": "edits.along_direction",
    "equalize": "edits.equalization",
    "frames": "edits.style_mixing",
    "interpolate": "edits.style_mixing",
    "mix": "edits.mixer",
    "move": "edits.along_direction",
    "place": "edits.canvas",
    "resample": "edits.style_mixing",
    "shift": "edits.canvas",
    "style_mix": "edits.style_mixing",
    "sweep": "edits.along_direction",
}

__all__ = [
    "Displacement",
    "EditStep",
    "FeatureEdit",
    "Placement",
    "chain",
    "combine",
    "crop",
    "edit",
    "equalize",
    "frames",
    "interpolate",
    "mix",
    "move",
    "place",
    "resample",
    "shift",
    "style_mix",
    "sweep",
]

__getattr__, __dir__ = lazy_names(globals(), HOMES)
