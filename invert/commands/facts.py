"""Facts on stdout: a line each, nested ones under joined names, or all as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from invert.commands.terminal import LONGEST_LABEL, LONGEST_VALUE, printable

MAX_WIDTH = 40  # characters of the column of names


def print_facts(facts: Mapping[str, Any], as_json: bool) -> None:
    """Print facts, of which those from a file may be any text."""
    if as_json:
        click.echo(json.dumps(facts, sort_keys=True))
        return
    rows = [(printable(name, LONGEST_LABEL), value) for name, value in flat(facts)]
    width = min(MAX_WIDTH, max(len(name) for name, _ in rows))
    for name, value in rows:
        text = value if isinstance(value, str) else json.dumps(value)
        click.echo(f"{name:{width}} {printable(text, LONGEST_VALUE)}")


def flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys like measured.leakage.age with their values."""
    for key, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + str(key), value
