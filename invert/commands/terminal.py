"""Text for a terminal: one line of bounded length, in which nothing moves the cursor or hides
words.
"""

from __future__ import annotations

import unicodedata

import click

LONGEST_LABEL = 60  # characters of a key, or of a name before a progress bar
LONGEST_VALUE = 500  # of a value that a file holds
LONGEST_LINE = 1000  # of an error, a warning or a remark
LONGEST_RESULT = 5000  # of a result: any path that a system allows

# Control and format characters (bidirectional overrides among them), halves of characters, line
# ends.
UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")
JOINERS = "\u200c\u200d"  # format characters that Persian words and emoji need; harmless
CUT = " … "


def printable(text: object, longest: int = LONGEST_LINE) -> str:
    """The text as one line of at most `longest` characters that any terminal shows as it is.

    For all that comes from files: names, metadata, members of archives, and errors that quote them.
    Characters that would move the cursor, colour, ring, reverse or hide text are written as escapes
    (``\\x1b``, ``\\n``, ``\\u202e``); so are undecodable bytes of file names. Of a longer text the
    middle is left out: what to do stands at the end.
    """
    shown = "".join(map(escaped, cut(str(text), longest)))
    return cut(shown, longest)


def escaped(character: str) -> str:
    """A character, or its escape where a terminal would not just show it."""
    if unicodedata.category(character) not in UNSAFE or character in JOINERS:
        return character
    return character.encode("unicode_escape").decode()


def cut(text: str, longest: int) -> str:
    """The text, or its first two thirds and its end with ` … ` between them."""
    if len(text) <= longest:
        return text
    room = longest - len(CUT)
    tail = room // 3
    return text[: room - tail] + CUT + text[len(text) - tail :]


def say(text: object, *, err: bool = False) -> None:
    """Print a result on stdout, or with `err` a remark on stderr, as one :func:`printable` line."""
    click.echo(printable(text, LONGEST_LINE if err else LONGEST_RESULT), err=err)
