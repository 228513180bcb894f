"""What a killed write leaves in a folder: temporary files, which go, and journals, which are
followed.

Temporary files and journals are named `.invert-HOST-PID-NUMBER…`. A process writes in a folder
while it holds the folder's lock, so whoever has the lock knows that what lies there has no writer
on this machine any more. Files of other machines, which may not see the lock, are left alone while
they are young.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

PREFIX = ".invert-"
HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
YOUNG_JOURNAL = 60.0  # seconds in which a writer on another machine may still follow it
YOUNG_TEMPORARY = 24 * 3600.0
LOCK_SECONDS = 60.0  # that writers wait for each other
READER_SECONDS = 5.0  # that a reader waits for a writer
MAX_JOURNAL_BYTES = 1 << 20
CLOCK_TICK = 2_000_000_000  # nanoseconds; a folder may change twice and have one time of change
Identity = list[int] | None

_clean: dict[str, int] = {}  # folder: its time of change when nothing was left there


@dataclass(frozen=True)
class Move:
    """A file to be renamed from a temporary name or, without one, removed; and what was there
    before.
    """

    temporary: str
    name: str
    before: Identity


def new_token() -> str:
    """The beginning of the names of one write."""
    return f"{PREFIX}{HOST}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def temporary_name(token: str, number: int) -> str:
    """The name of the write's file with this number, until it is in place."""
    return f"{token}-{number}.tmp"


def identity(path: Path) -> Identity:
    """What changes when a file is replaced or written; None where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]


def write_journal(journal: Path, moves: Sequence[Move]) -> None:
    """Say what is to be done; once this returns it will be, by this process or the next one."""
    temporary = journal.with_name(f"{journal.name}.tmp")
    with open(temporary, "wb") as file:
        file.write(json.dumps([astuple(move) for move in moves]).encode())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, journal)
    sync_folder(journal.parent)


def read_journal(journal: Path) -> list[Move]:
    """What is to be done, all of it in the journal's folder. Raises :class:`ValueError` else."""
    if journal.stat().st_size > MAX_JOURNAL_BYTES:
        raise ValueError("too large")
    moves = [Move(*row) for row in json.loads(journal.read_bytes())]
    token = journal.name.removesuffix(".journal")
    for move in moves:
        ours = not move.temporary or move.temporary.startswith(f"{token}-")
        names = [move.name, *([move.temporary] if move.temporary else [])]
        if not ours or any(
            os.path.basename(name) != name or name in ("", ".", "..") for name in names
        ):
            raise ValueError(f"names {names} outside the folder")
    return moves


def commit(journal: Path) -> None:
    """Do what the journal says, from wherever it was left, and remove it.

    The old files go first, then the new ones come: files of two sets never lie side by side. A
    place that somebody else's file has taken meanwhile stays as it is, and the set goes to
    `recovered-…`.
    """
    folder, moves = journal.parent, read_journal(journal)
    left = [move for move in moves if not move.temporary or identity(folder / move.temporary)]
    coming = [move for move in left if move.temporary]
    taken = [x for x in coming if identity(folder / x.name) not in (None, x.before)]
    prefix = free_prefix(folder, left) if taken else ""

    if not taken:
        for move in left:
            if move.before is not None and identity(folder / move.name) == move.before:
                with suppress(FileNotFoundError):
                    os.unlink(folder / move.name)
    for move in left:
        if move.temporary:
            os.replace(folder / move.temporary, folder / f"{prefix}{move.name}")
    sync_folder(folder)
    with suppress(FileNotFoundError):
        os.unlink(journal)
    if taken:
        results = ", ".join(prefix + move.name for move in left if move.temporary)
        warnings.warn(
            f"{folder / taken[0].name}: another file came in its place; "
            f"an earlier run's are {results}",
            stacklevel=2,
        )


def free_prefix(folder: Path, moves: Sequence[Move]) -> str:
    """A beginning that none of the names has a file under."""
    number = 1
    while any(identity(folder / f"recovered-{number}-{move.name}") for move in moves):
        number += 1
    return f"recovered-{number}-"


def forget_temporaries(folder: Path, token: str) -> None:
    """Remove the temporary files of one write, unless its journal is there."""
    if (folder / f"{token}.journal").exists():
        return
    for name in os.listdir(folder):
        if name.startswith(f"{token}-") or name == f"{token}.journal.tmp":
            with suppress(OSError):
                os.unlink(folder / name)


def recover(folder: Path, seconds: float = READER_SECONDS) -> None:
    """Finish the sets that killed processes had finished writing, and sweep their other files.

    Does nothing in a folder that cannot be written. Waits `seconds` for a living process to finish
    its set, and leaves alone what it writes.
    """
    try:
        changed = os.stat(folder).st_mtime_ns
        if _clean.get(key := os.path.realpath(folder)) == changed:
            return
        if any(name.startswith(PREFIX) for name in os.listdir(folder)):
            with locked(folder, seconds) as alone:
                put_right(folder, alone)
            return
        if time.time_ns() - changed > CLOCK_TICK:
            _clean[key] = changed
    except OSError:
        return


def put_right(folder: Path, alone: bool) -> None:
    """Follow the journals and remove the temporary files whose writers are gone."""
    for name in leftovers(folder, ".journal"):
        if is_left(folder / name, alone, YOUNG_JOURNAL):
            try:
                commit(folder / name)
            except (ValueError, TypeError, RecursionError):  # no journal of ours
                continue

    journals = tuple(name.removesuffix(".journal") for name in leftovers(folder, ".journal"))
    for name in leftovers(folder, ".tmp"):
        if not name.startswith(journals) and is_left(folder / name, alone, YOUNG_TEMPORARY):
            with suppress(OSError):
                os.unlink(folder / name)


def leftovers(folder: Path, suffix: str) -> list[str]:
    """The names of our journals or temporary files, whoever writes them."""
    names = os.listdir(folder)
    return sorted(name for name in names if name.startswith(PREFIX) and name.endswith(suffix))


def is_left(path: Path, alone: bool, young: float) -> bool:
    """Whether the writer of a temporary file or journal is gone."""
    host, pid = [*path.name.removeprefix(PREFIX).split("-"), ""][:2]
    if host == HOST and (alone or not is_alive(pid)):
        return True
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > young
    return False


def is_alive(pid: str) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except OSError:
        pass
    return True


@contextmanager
def locked(folder: Path, seconds: float = LOCK_SECONDS) -> Iterator[bool]:
    """Wait until no other process writes in the folder, then keep them waiting. Leaves no file.

    Gives False after `seconds`, and where the system has no locks of folders.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # of folders in which one may write but not look
        yield False
        return
    try:
        yield wait_for(fcntl, handle, seconds)
    finally:
        os.close(handle)


def wait_for(fcntl: Any, handle: int, seconds: float) -> bool:
    """Lock an open folder; False where its file system cannot, or others keep it."""
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        except OSError:
            return False


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a loss of power, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
