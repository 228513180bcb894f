"""Options of commands that write directions, and the files they write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from invert.commands.command import Renamed
from invert.commands.destinations import Destinations, claim, with_suffix_of
from invert.commands.options import FILE, check_psi
from invert.commands.parsing import styles_of_layers
from invert.commands.terminal import say

if TYPE_CHECKING:
    from directions.direction import Direction

SUFFIX = ".safetensors"

name_option = click.option(
    "--name",
    metavar="NAME",
    required=True,
    help="Name of the direction: letters, digits, - and _.",
)
meaning_option = click.option(
    "--meaning",
    metavar="TEXT",
    default="",
    help="What a positive strength does, as in `invert directions list`.",
)
styles_option = click.option(
    "--styles",
    metavar="A-B|NAME",
    help="Styles it acts on: 0-7 (both included), coarse, middle or fine. Default: all.",
)
RENAMED = {"--layers": Renamed("--styles", styles_of_layers)}
count_option = click.option(
    "--count", metavar="N", default=10, show_default=True, help="Number of directions."
)
psi_option = click.option(
    "--psi",
    metavar="PSI",
    type=float,
    default=1.0,
    show_default=True,
    callback=check_psi,
    help="Truncation with which the seeds were rendered.",
)
output_option = click.option(
    "-o", "--output", metavar="FILE", type=FILE, help="Default: NAME.safetensors."
)
folder_option = click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=FILE,
    required=True,
    help="Folder for the direction files.",
)


def direction_file(output: Path | None, name: str) -> Path:
    """Where the direction goes; raises :class:`UsageError` for another suffix before there is work
    lost.
    """
    return with_suffix_of(output or Path(f"{name}{SUFFIX}"), SUFFIX)


def write(direction: Direction, destinations: Destinations) -> None:
    """Save a direction, and say where and what was measured."""
    from directions.direction_files import save_direction

    path = destinations.ready()
    save_direction(direction, path, destinations.record)
    measured = ", ".join(f"{key} {value}" for key, value in direction.measured.items())
    say(f"{path}  {measured}".rstrip())


def claim_all(
    command: str, names: Iterable[str], folder: Path, network: str, overwrite: bool
) -> list[Destinations]:
    """The files of several directions of a network in one folder."""
    return [
        claim(command, [folder / f"{name}{SUFFIX}"], network=network, overwrite=overwrite)
        for name in names
    ]


def write_all(made: Iterable[Direction], destinations: Iterable[Destinations]) -> None:
    """Save directions, each in its file."""
    for direction, file in zip(made, destinations, strict=True):
        write(direction, file)
