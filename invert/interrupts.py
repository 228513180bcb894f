"""Ctrl-C, SIGTERM and SIGHUP while there is work to keep: the first waits, a second does not.

Python raises KeyboardInterrupt between any two instructions of the main thread: also between the
step that found a point and the line that keeps it, or between two files that belong together. In a
:func:`postponed` block it waits until somebody asks for it (:func:`check`), or until the block is
left.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # of which Windows has two
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
Handler = Callable[[int, FrameType | None], None]
EXIT_CODE = 130  # 128 + SIGINT, as shells have it


@dataclass
class State:
    """Of the main thread, which is the one that signals reach."""

    in_command: bool = False  # in `ending_commands`, which counts interrupts until the end
    postponing: bool = False
    waiting: bool = False  # an interrupt came that nobody was told of yet
    came: bool = False  # one came, whether it waits or not; the next is the second


_state = State()


@contextmanager
def ending_commands() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise KeyboardInterrupt as SIGINT does; a second signal
    raises SystemExit.

    That, because what catches the first to keep its work does not catch it. Signals that the
    process ignores, as under nohup, stay ignored. Nothing happens outside the main thread.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _state.came:
            raise SystemExit(EXIT_CODE)
        _state.came = True
        raise KeyboardInterrupt

    if not in_main_thread():
        yield
        return
    handled = [s for s in SIGNALS if signal.getsignal(s) not in (signal.SIG_IGN, None)]
    with handling(handled, interrupt):
        _state.in_command, _state.came = True, False
        try:
            yield
        finally:
            _state.in_command = _state.came = False


@contextmanager
def postponed() -> Iterator[None]:
    """Within the block an interrupt waits for :func:`check`, or is raised at the block's end.

    Blocks may be nested; the outermost counts. A second interrupt is raised where it comes. Only
    signals with a handler of Python's wait: a process that ignores them, or is killed by them,
    stays so.
    """
    if _state.postponing or not in_main_thread():
        yield
        return
    handlers = {s: handler for s in SIGNALS if callable(handler := signal.getsignal(s))}

    def wait(number: int, frame: FrameType | None) -> None:
        if _state.came or not _state.postponing:
            _state.waiting = False
            handlers[number](number, frame)
        else:
            _state.came = _state.waiting = True

    try:
        with handling(list(handlers), wait):
            _state.postponing = True
            try:
                yield
            finally:
                _state.postponing = False
                _state.came = _state.came and _state.in_command
    finally:
        check()


@contextmanager
def immediate() -> Iterator[None]:
    """Within the block, which may be part of a :func:`postponed` one, interrupts are raised where
    they come: for work that is not worth keeping."""
    if not in_main_thread():
        yield
        return
    check()
    before, _state.postponing = _state.postponing, False
    try:
        yield
    finally:
        _state.postponing = before


def check() -> None:
    """Raise the KeyboardInterrupt that waits, if one does."""
    if taken():
        raise KeyboardInterrupt


def taken() -> bool:
    """Whether an interrupt waits; the caller answers for it, and it waits no longer."""
    if not _state.waiting or not in_main_thread():
        return False
    _state.waiting = False
    return True


def in_main_thread() -> bool:
    """Whether this is the thread that receives signals."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def handling(signals: list[int], handler: Handler) -> Iterator[None]:
    """Within the block these signals have this handler, and afterwards those that they had."""
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
