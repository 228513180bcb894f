"""Groups of commands: their help, and what other projects call the commands."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import click

from invert.commands.habits import hint_for_command

COMMANDS = "Commands"  # heading of what was added without one


class CommandGroup(click.Group):
    """A group that lists its commands under headings, in the order in which they were added.

    It knows what other projects call these commands.
    """

    def add_section(self, heading: str, commands: Iterable[click.Command]) -> None:
        """Add commands that the help lists under a heading of their own."""
        for command in commands:
            self.add_command(command)
            self.headings[command.name or ""] = heading

    @cached_property
    def headings(self) -> dict[str, str]:
        """Heading of each command that was added under one."""
        return {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands in the order in which they were added."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries of the commands, each whole, in columns of one width."""
        rows: dict[str, list[tuple[str, str]]] = {}
        width = max(map(len, self.commands), default=0)
        for name, command in self.commands.items():
            summary = command.get_short_help_str(limit=formatter.width)
            heading = self.headings.get(name, COMMANDS)
            rows.setdefault(heading, []).append((name.ljust(width), summary))

        for heading, summaries in rows.items():
            with formatter.section(heading):
                formatter.write_dl(summaries)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named first. Raises :class:`click.UsageError` with a near name."""
        name = args[0]
        if name[:1] != "-" and self.get_command(ctx, name) is None:
            ctx.fail(hint_for_command(name, ctx.command_path, self.commands))
        return super().resolve_command(ctx, args)
