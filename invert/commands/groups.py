"""Groups of commands."""

from __future__ import annotations

import click

from invert.commands.habits import hint_for_command


class CommandGroup(click.Group):
    """Lists its commands in the order in which they were added, and knows what others call them."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if name[:1] != "-" and self.get_command(context, name) is None:
            context.fail(hint_for_command(name, context.command_path, self.commands))
        return super().resolve_command(context, arguments)
