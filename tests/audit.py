"""A switchable audit hook: what a piece of code imported, executed, wrote, started or connected to,
in its thread.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_FORBIDDEN = ("import", "exec", "compile", "pickle.find_class", "marshal.loads", "code.__new__")
_FORBIDDEN_FAMILIES = ("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pty.", "webbrowser.")
_HARMLESS = ("os.listdir", "os.scandir")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_recorders: list[tuple[int, list[str]]] = []  # thread, its events


def _hook(event: str, args: tuple) -> None:
    if not _recorders:
        return
    if event == "open":
        _, mode, flags = args
        forbidden = bool(set(mode or "") & set("wax+")) or bool((flags or 0) & _WRITING)
    else:
        forbidden = event in _FORBIDDEN or (
            event.startswith(_FORBIDDEN_FAMILIES) and event not in _HARMLESS
        )
    if forbidden:
        for thread, events in _recorders:
            if thread == threading.get_ident():
                events.append(f"{event} {args[:1]!r}"[:200])


sys.addaudithook(_hook)  # hooks cannot be removed; without a recorder it does nothing


@contextmanager
def forbidden_events() -> Iterator[list[str]]:
    """The list that forbidden events inside the block are appended to."""
    events: list[str] = []
    recorder = threading.get_ident(), events
    _recorders.append(recorder)
    try:
        yield events
    finally:
        _recorders.remove(recorder)
