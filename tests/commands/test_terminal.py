"""What files hold reaches a terminal as one line of plain characters."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import small_generator
from shell import Shell, one_line, succeeded

from invert.commands.terminal import printable

HOSTILE = "\x1b[31mred\x07\x9b2J\r\u202egnp.exe\u2066\u200b\u2028\x7f\ud800"


def test_what_moves_a_cursor_or_hides_a_word_is_written_as_an_escape() -> None:
    shown = printable(HOSTILE)
    assert shown.isprintable()
    assert shown == r"\x1b[31mred\x07\x9b2J\r\u202egnp.exe\u2066\u200b\u2028\x7f\ud800"
    assert printable("a\nerror: b\t") == r"a\nerror: b\t"


@pytest.mark.parametrize(
    "text", ["größe 7×7 … µ", "می\u200cخواهم", "👩\u200d👧.png", "写真.jpg", r"C:\new\x.png"]
)
def test_words_of_any_language_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "\x1b" * 100_000, "\u202e" * 30], ids=["long", "escapes", "short"]
)
def test_a_long_text_is_cut_and_keeps_its_end(text: str) -> None:
    shown = printable(text + " do this", 60)
    assert len(shown) <= 60
    assert shown.endswith(" do this")
    assert " … " in shown


@pytest.mark.parametrize("command", ["info", "render", "project"])
def test_the_name_of_a_file_does_not_reach_the_terminal_raw(
    command: str, run: Shell, network: Path
) -> None:
    name = "a\x1b[2J\nerror: b\u202e.png"
    Path(name).write_text("nothing")
    line = one_line(run(command, name, *(() if command == "info" else ("--network", network))))
    assert line.isprintable()
    assert r"\x1b[2J" in line


def test_metadata_does_not_reach_the_terminal_raw(run: Shell, network: Path) -> None:
    latent = small_generator().sample(0)
    latent.replace(metadata={"generator": HOSTILE[:-1], "note": "long" * 100_000}).save("a.pt")
    out = succeeded(run("info", "a.pt"))
    assert all(line.isprintable() for line in out.splitlines())
    assert len(out) < 5000
