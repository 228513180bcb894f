"""Hints that fit the command that runs: none names an option which that command lacks.

The library tells what to do in the words of the command that needs it most, `project` for pictures;
the same reader serves commands with fewer options.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import click

OPTION = re.compile(r"(?<![\w`-])--[a-z][a-z-]*")
CODE = re.compile(r"`[^`]*`")  # names another command, with its options
CLAUSE_START = re.compile(r"(?:[;,]? or |[;,] | \()")
CLAUSE_END = re.compile(r"[;,] |$")


def fitting(message: str, command: click.Command) -> str:
    """The message without the clauses that advise options which the command lacks."""
    known = {name for parameter in command.params for name in parameter.opts} | {
        "--help",
        "--debug",
    }
    return without_clauses(message, known)


def without_clauses(message: str, known: Collection[str]) -> str:
    """The message without clauses that name an option outside of `known`; its first one stays."""
    position = 0
    while (found := OPTION.search(message, position)) is not None:
        position = found.end()
        starts = [
            m
            for m in CLAUSE_START.finditer(message, 0, found.start() + 1)
            if m.end() <= found.start()
        ]
        if found.group() in known or in_code(message, found.start()) or not starts:
            continue

        start, end = starts[-1].start(), clause_end(message, starts[-1].group(), found.end())
        message, position = message[:start] + message[end:], start
    return message


def in_code(message: str, position: int) -> bool:
    """Whether a position lies inside `code`, which names another command."""
    return any(m.start() < position < m.end() for m in CODE.finditer(message))


def clause_end(message: str, opening: str, position: int) -> int:
    """The end of the clause that began with `opening`: its bracket, the next clause or the end."""
    if opening == " (" and (bracket := message.find(")", position)) >= 0:
        return bracket + 1
    end = CLAUSE_END.search(message, position)
    return end.start() if end else len(message)


def running(group: click.Command, arguments: Sequence[str]) -> click.Command:
    """The command that the arguments of a call name; the group itself where they name none."""
    command = group
    for argument in arguments:
        if isinstance(command, click.Group) and argument in command.commands:
            command = command.commands[argument]
        elif not argument.startswith("-"):
            break
    return command
