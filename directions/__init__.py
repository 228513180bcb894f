"""Directions of W that edits follow: learned, factorized, imported, measured, and a catalogue.

    find                  a direction of the catalogue, or of a file
    learn                 from scored samples, by regression
    principal_directions  along which W varies most
    factorize             that the affine layers amplify most
    load_direction        from a file; `save_direction` writes one
    Direction             unit vectors, σ along them, and what they mean
    WSpace                the W space that they belong to, by samples

The names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from invert.lazy_names import lazy_names

if TYPE_CHECKING:
    from directions.catalog import find
    from directions.direction import Direction
    from directions.direction_files import load_direction, save_direction
    from directions.pca import principal_directions
    from directions.regression import learn
    from directions.sefa import factorize
    from directions.w_space import WSpace

HOMES = {
    "Direction": "directions.direction",
    "WSpace": "directions.w_space",
    "factorize": "directions.sefa",
    "find": "directions.catalog",
    "learn": "directions.regression",
    "load_direction": "directions.direction_files",
    "principal_directions": "directions.pca",
    "save_direction": "directions.direction_files",
}

__all__ = [
    "Direction",
    "WSpace",
    "factorize",
    "find",
    "learn",
    "load_direction",
    "principal_directions",
    "save_direction",
]

__getattr__, __dir__ = lazy_names(globals(), HOMES)
