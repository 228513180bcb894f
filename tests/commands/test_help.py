"""The help of commands, and options by their old names."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from networks import small_generator
from shell import Shell, refused, succeeded

import cli
from invert.commands.command import Command, Renamed, with_new_names

WIDTH = 80  # columns of a terminal
RENAMED = {"--old": Renamed("--new"), "--count": Renamed("--number", lambda x: str(int(x) + 1))}


def groups(
    group: click.Group = cli.cli, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Group]]:
    """Every group of commands with the words that call it."""
    yield words, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from groups(command, (*words, name))


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that is no group with the words that call it."""
    for words, group in groups():
        for name, command in group.commands.items():
            if not isinstance(command, click.Group):
                yield (*words, name), command


@pytest.mark.parametrize("words", [words for words, _ in groups()], ids=" ".join)
def test_summaries_are_whole_and_on_one_line(
    words: tuple[str, ...], run: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    group = dict(groups())[words]
    lines = succeeded(run(*words, "--help")).splitlines()
    for name, command in group.commands.items():
        [line] = [line for line in lines if line.startswith(f"  {name} ")]
        summary = line.removeprefix(f"  {name}").strip()
        assert len(summary) < 60
        assert (command.help or "").startswith(summary)
        assert summary.endswith(".")


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_help_fits_a_terminal_and_lists_every_option_once(
    words: tuple[str, ...], run: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    lines = succeeded(run(*words, "--help")).splitlines()
    assert max(map(len, lines)) <= WIDTH
    command = dict(commands())[words]
    assert isinstance(command, Command)
    first = next(k for k, line in enumerate(lines) if line.endswith(":") and line[0] != " ")
    listed = [line.split()[0].rstrip(",") for line in lines[first:] if line.startswith("  -")]
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert sorted({*listed} - {"-h", "--help"}) == sorted(option.opts[0] for option in options)
    assert len(listed) == len(options) + 1
    named = {name for names in command.sections.values() for name in names}
    assert named <= {parameter.name for parameter in command.params}


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (["a", "--old", "x"], ["a", "--new", "x"]),
        (["--old=x=y", "--count", "3"], ["--new=x=y", "--number", "4"]),
        (["--older", "--", "--old", "x"], ["--older", "--", "--old", "x"]),
        (["--old"], ["--new"]),
    ],
)
def test_old_names_become_new_ones(words: list[str], new: list[str]) -> None:
    assert with_new_names(words, RENAMED) == new


def test_an_old_name_works_and_says_the_new_one(run: Shell) -> None:
    small_generator().sample(0).save("a.pt")
    edit = ("edit", "a.pt", "--direction", "none", "--carry", "repaint")
    result = run(*edit)
    refused(result, 2, "none")
    assert "warning: --carry repaint is now --features residual;" in result.err
    result = run("project", "a.png", "--trunk", "x.pth", "--space", "X")
    refused(result, 2, "X")
    assert "warning: --trunk x.pth is now --lpips-weights x.pth;" in result.err


@pytest.mark.parametrize("name", ["project", "edit", "train encoder", "train attribute"])
def test_old_names_are_not_shown_and_lead_to_options(name: str, run: Shell) -> None:
    words = tuple(name.split())
    command = dict(commands())[words]
    assert isinstance(command, Command)
    shown = succeeded(run(*words, "--help"))
    known = {option for parameter in command.params for option in parameter.opts}
    assert command.renamed
    for old, new in command.renamed.items():
        assert f"{old} " not in shown
        assert new.option in known
        assert old not in known
