"""`invert directions`: the directions of `edit --direction`, listed, made and measured."""

from __future__ import annotations

import click

from directions.commands.importing import import_file, measure
from directions.commands.making import exemplars, learn, pca, sefa
from directions.commands.showing import list_directions, show
from invert.commands.groups import CommandGroup


@click.group(cls=CommandGroup, invoke_without_command=True)
@click.pass_context
def directions(context: click.Context) -> None:
    """List, make and measure directions of edits.

    `invert edit --direction` takes their names and files.

    \b
    Example:
      invert directions show smile
    """
    if context.invoked_subcommand is None:
        context.invoke(list_directions)


for command in (list_directions, show, learn, exemplars, pca, sefa, import_file, measure):
    directions.add_command(command)
