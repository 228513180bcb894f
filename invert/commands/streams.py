"""Streams of a command that outlive their reader: a closed pipe, a full disk, a lost terminal.

A result line that nobody can read is no reason to lose the work behind it.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO


class Tolerant(io.RawIOBase):
    """Writes through to what is under a text stream until that refuses, and then to nowhere.

    error  what it said when it did
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream  # held, because it closes what is under it when it goes
        self.inner: BinaryIO = stream.buffer
        self.error: OSError | ValueError | None = None

    def write(self, data: Any) -> int:
        """Write the data, or nothing once that has failed; the length of the data."""
        if self.error is None:
            try:
                self.inner.write(data)
                self.inner.flush()
            except (OSError, ValueError) as error:  # the latter: it is closed
                self.error = error
                self.drop()
        return len(data)

    def drop(self) -> None:
        """Let what is buffered still, which Python writes when it ends, go nowhere too."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.inner.fileno())
            os.close(nowhere)
            self.inner.flush()

    def writable(self) -> bool:
        """True, as of every stream that is written to."""
        return True

    def isatty(self) -> bool:
        """Whether a terminal is under it."""
        return self.inner.isatty()

    def fileno(self) -> int:
        """The descriptor under it."""
        return self.inner.fileno()


@contextlib.contextmanager
def tolerant_streams() -> Iterator[Tolerant | None]:
    """Within the block stdout and stderr never raise; yields stdout, whose `error` tells.

    Characters that their encoding lacks are escaped. Where one is closed, its descriptor is taken
    by nothing else: the next file would get it, and the next message would go into that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free: this one

    before = sys.stdout, sys.stderr
    stdout, sys.stdout = tolerant(sys.stdout)
    stderr, sys.stderr = tolerant(sys.stderr)
    ours = sys.stdout, sys.stderr
    try:
        yield stdout
    finally:
        sys.stdout, sys.stderr = before
        for stream, raw in zip(ours, (stdout, stderr), strict=True):
            if raw is not None:
                stream.detach()  # or Python closes it


def tolerant(stream: Any) -> tuple[Tolerant | None, Any]:
    """A text stream that never raises, after what is under it; one without bytes stays as it is."""
    if stream is None:
        return tolerant(open(os.devnull, "w"))
    if getattr(stream, "buffer", None) is None:
        return None, stream
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
    raw = Tolerant(stream)
    text = io.TextIOWrapper(
        raw,  # type: ignore[type-var]
        encoding=stream.encoding,
        errors="backslashreplace",
        write_through=True,
    )
    return raw, text


def lost_results(stdout: Tolerant | None) -> str:
    """Why results could not be printed; "" where all were, or the reader had enough (`| head`)."""
    error = None if stdout is None else stdout.error
    if error is None or getattr(error, "errno", None) == errno.EPIPE:
        return ""
    return getattr(error, "strerror", None) or str(error)
