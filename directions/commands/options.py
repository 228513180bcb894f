"""Options of commands that write directions, and the files they write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from invert.commands.options import FILE, check_psi
from invert.commands.terminal import say
from invert.errors import UsageError

if TYPE_CHECKING:
    from directions.direction import Direction

SUFFIX = ".safetensors"

name_option = click.option("--name", required=True, help="What users will type: letters, digits, - and _.")
meaning_option = click.option("--meaning", default="", help="What more of it is, read after '+ is'.")
layers_option = click.option(
    "--layers", metavar="A-B|NAME", help="Styles it acts on: 0-8 (8 excluded), coarse, middle or fine; all by default."
)
count_option = click.option("--count", default=10, show_default=True, help="Number of directions.")
psi_option = click.option(
    "--psi",
    type=float,
    default=1.0,
    show_default=True,
    callback=check_psi,
    help="Truncation of seeds, as their pictures had it.",
)
output_option = click.option("-o", "--output", type=FILE, help="Direction file; NAME.safetensors by default.")
folder_option = click.option("-o", "--output", type=FILE, required=True, help="Folder of the direction files.")


def direction_file(output: Path | None, name: str) -> Path:
    """Where the direction goes; raises :class:`UsageError` for another suffix before there is work lost."""
    path = output or Path(f"{name}{SUFFIX}")
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: expected a name that ends in {SUFFIX}")
    return path


def write(direction: Direction, path: Path) -> None:
    """Save a direction, and say where and what was measured."""
    direction.save(path)
    measured = ", ".join(f"{key} {value}" for key, value in direction.measured.items())
    say(f"{path}  {measured}".rstrip())


def write_all(made: Iterable[Direction], folder: Path) -> None:
    """Save directions in a folder under their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for direction in made:
        write(direction, folder / f"{direction.name}{SUFFIX}")
