"""Commands whose help lists options under headings, and which take options by their old names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from invert.commands.terminal import say

OPTIONS = "Options"  # heading of what no section names
SHARED = {  # parameters of many commands, which stand last in their help
    "Output": ("output", "out", "overwrite", "as_json", "progress_format"),
    "Generator": ("network", "device", "force"),
}
WIDEST = 30  # column of the options' names, in characters; as in click


@dataclass(frozen=True)
class Renamed:
    """The new name of an option, and what a value of the old one is now."""

    option: str
    value: Callable[[str], str] = str


class Command(click.Command):
    """A command with headings in its help.

    sections  heading → names of the parameters under it, in the order of the help
    renamed   old option → new one: it works as before, is not shown, and warns
    """

    def __init__(
        self,
        *args: Any,
        sections: Mapping[str, Sequence[str]] | None = None,
        renamed: Mapping[str, Renamed] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sections = dict(sections or {})
        self.renamed = dict(renamed or {})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with new names for the options that were renamed."""
        return super().parse_args(ctx, with_new_names(args, self.renamed))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings, in columns of one width."""
        rows: dict[str, list[tuple[str, str]]] = {
            heading: [] for heading in (OPTIONS, *self.sections, *SHARED)
        }
        headings = {
            name: heading
            for sections in (SHARED, self.sections)
            for heading, names in sections.items()
            for name in names
        }
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                rows[headings.get(parameter.name or "", OPTIONS)].append(record)

        # --help alone is no section of its own.
        if len(rows[OPTIONS]) == 1 and any(rows[heading] for heading in rows if heading != OPTIONS):
            rows = {**{h: r for h, r in rows.items() if h != OPTIONS}, "Help": rows[OPTIONS]}

        width = max(len(name) for each in rows.values() for name, _ in each)
        for heading, records in rows.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(
                        [(name.ljust(min(width, WIDEST)), text) for name, text in records]
                    )


def with_new_names(words: Sequence[str], renamed: Mapping[str, Renamed]) -> list[str]:
    """The words of a call with the new names of its options; warns about each old one.

    `--old value` and `--old=value` are known; words after `--` are no options.
    """
    result = list(words)
    stop = result.index("--") if "--" in result else len(result)
    for k, word in enumerate(result[:stop]):
        name, equals, value = word.partition("=")
        if name not in renamed:
            continue

        new = renamed[name]
        if equals:
            result[k] = f"{new.option}={new.value(value)}"
            changed = f"{word} is now {result[k]}"
        elif k + 1 < stop:
            result[k : k + 2] = new.option, new.value(result[k + 1])
            changed = f"{name} {words[k + 1]} is now {' '.join(result[k : k + 2])}"
        else:
            result[k] = new.option
            changed = f"{name} is now {new.option}"
        say(f"warning: {changed}; the old name goes with the next version", err=True)
    return result
