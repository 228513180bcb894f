"""The bundled directions, for the W space of StyleGAN2 FFHQ, and linear scores of their attributes.

A score is the regression before it was made orthogonal to others: it says how much of an attribute
is in w, but moving along it would change more than that attribute.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from directions.direction import Direction
from directions.direction_files import load_direction
from invert.errors import UsageError

FOLDER = Path(__file__).parent / "vectors"
SUFFIX = ".safetensors"
SCORE_PREFIX = "score-"


def available() -> list[str]:
    """Names in the catalogue, in alphabetical order."""
    return sorted(
        path.stem for path in FOLDER.glob(f"*{SUFFIX}") if not path.stem.startswith(SCORE_PREFIX)
    )


def scores() -> list[Direction]:
    """The linear score of every attribute in the catalogue, under the name of the attribute."""
    return [load_direction(FOLDER / f"{SCORE_PREFIX}{name}{SUFFIX}") for name in available()]


def find(name_or_path: str | Path) -> Direction:
    """A direction of the catalogue by name, or one from a `.safetensors` file.

    Raises :class:`UsageError` for an unknown name, with the nearest known one, and
    :class:`ModelFileError` for a bad file.
    """
    text = str(name_or_path)
    names = available()
    if text in names:
        return load_direction(FOLDER / f"{text}{SUFFIX}")

    path = Path(name_or_path)
    if path.suffix == SUFFIX or path.name != text or path.is_file():
        return load_direction(path)

    near = difflib.get_close_matches(text.lower(), names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"unknown direction {text!r}; {hint}known: {', '.join(names)}, "
        "or the path of a direction file"
    )
