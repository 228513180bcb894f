"""`invert directions list` and `show`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from invert.commands.command import Command
from invert.commands.facts import print_facts
from invert.commands.options import json_option
from invert.commands.terminal import say

if TYPE_CHECKING:
    from directions.direction import Direction


@click.command("list", cls=Command)
@json_option
def list_directions(as_json: bool) -> None:
    """List the directions that `edit` knows by name.

    \b
    Example:
      invert directions list --json
    """
    from directions.catalog import available, find

    found = [find(name) for name in available()]
    if as_json:
        rows = [
            {"name": d.name, "meaning": d.meaning, "sigma": d.sigma, "measured": dict(d.measured)}
            for d in found
        ]
        click.echo(json.dumps(rows))
        return
    for direction in found:
        say(f"{direction.name:18} + is {direction.meaning}")


@click.command(cls=Command)
@click.argument("direction")
@json_option
def show(direction: str, as_json: bool) -> None:
    """Show how a direction was made and measured.

    DIRECTION is a name (`invert directions list`) or a file.

    \b
    Example:
      invert directions show smile
    """
    from directions.catalog import find

    print_facts(describe(find(direction)), as_json)


def describe(direction: Direction) -> dict[str, Any]:
    """All fields of a direction but its numbers, as JSON values."""
    return {
        "name": direction.name,
        "meaning": direction.meaning,
        "w_space": direction.w_space,
        "vectors": list(direction.vectors.shape),
        "styles": None if direction.styles is None else list(direction.styles),
        "sigma": direction.sigma,
        "source": dict(direction.source),
        "measured": dict(direction.measured),
    }
