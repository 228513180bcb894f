"""Addresses of the web where a file is expected: nothing is downloaded behind anybody's back."""

from __future__ import annotations

import re

from invert.errors import UsageError

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}[^/\\]")  # pathlib makes one slash of two


def refuse_address(text: str) -> None:
    """Raise :class:`UsageError` for an address like https://… where a file is expected."""
    if ADDRESS.match(text):
        name = text.rstrip("/").rpartition("/")[2].partition("?")[0]
        raise UsageError(
            f"expected a file, got the address {text}; download the file, "
            f"then give its path: {name}"
        )
