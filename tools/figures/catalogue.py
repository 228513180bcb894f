"""Which figures there are: every `fig_*.py`, `automodulator_*.py` and `beyond_*.py` of this folder.

[S] before [A], by number, then what goes beyond them, by name.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parent
GROUPS = ("fig", "automodulator", "beyond")


def figure_files() -> list[Path]:
    """The scripts in the order of the papers, then our own."""
    groups = (sorted(FOLDER.glob(f"{group}_*.py"), key=order) for group in GROUPS)
    return [path for group in groups for path in group]


def order(path: Path) -> tuple[list[int], str]:
    return numbers(path.stem), path.stem


def numbers(name: str) -> list[int]:
    """[4, 10] of `fig_4_10`."""
    return [int(digits) for digits in re.findall(r"\d+", name)]


def description(path: Path) -> tuple[str, str]:
    """Heading and text of a figure: the first line of its script's docstring, and the rest. Nothing
    is run.
    """
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    heading, _, body = text.partition("\n")
    return heading.strip().rstrip("."), body.strip()
