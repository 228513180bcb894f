"""Files that are written whole or not at all, one by one or as a set that belongs together.

A set is written in three steps. All its files are written under temporary names beside their own
and synced. A journal says which goes where; from then on the set is finished, whatever happens. The
old files are removed, the new ones renamed into place, the last one last, and the journal is
removed: at no time do files of two sets lie side by side. What a kill leaves behind is put right by
:func:`invert.files.leftovers.recover`, which all readers and writers of a folder call.

Ctrl-C, SIGTERM and SIGHUP wait until a set is in place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from invert.errors import InvertError
from invert.files.leftovers import (
    Move,
    commit,
    forget_temporaries,
    identity,
    locked,
    new_token,
    sync_folder,
    temporary_name,
    write_journal,
)
from invert.interrupts import postponed

ATTEMPTS = 20  # where something other than a signal interrupts again and again
Content = bytes | Callable[[IO[bytes]], Any]


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Call `write(file)` on a temporary file beside `path`, sync it, and rename it into place.

    It may be called again after an interrupt. Raises :class:`InvertError` naming the path when the
    disk or the folder refuses; the old file stays.
    """
    put_in_place({Path(path): write}, ())


def write_set(contents: Mapping[Path, Content], remove: Iterable[Path] = ()) -> None:
    """Write files of one folder, which is made where it is missing, as a whole or not at all.

    They come into place in their order, after all old files of these names, and those of `remove`,
    are gone. Raises :class:`InvertError` when the disk or the folder refuses: the old set stays.
    """
    [folder] = {path.parent for path in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refusal(folder, error) from error
    put_in_place(contents, remove)


def put_in_place(contents: Mapping[Path, Content], remove: Iterable[Path]) -> None:
    """Write the files and bring them into place, while interrupts wait and the folder is locked."""
    first = next(iter(contents))
    folder, token = first.parent, new_token()
    try:
        with postponed(), locked(folder):
            persist(
                lambda: stage(folder, token, contents, tuple(remove)),
                give_up=lambda: forget_temporaries(folder, token),
            )
    except (OSError, RuntimeError) as error:
        raise refusal(first, error) from error


def refusal(path: Path, error: Exception) -> InvertError:
    """The error for a file that the disk or the folder refuses."""
    return InvertError(f"{path}: cannot be written ({error}); the old file, if any, is intact")


def persist(work: Callable[[], None], give_up: Callable[[], None]) -> None:
    """Do `work`, which can begin anew at any point, also when it is interrupted.

    The interrupt goes on afterwards.
    """
    interrupt: BaseException | None = None
    for _ in range(ATTEMPTS):
        try:
            work()
        except (KeyboardInterrupt, SystemExit) as error:
            interrupt = error
            continue
        break
    else:
        give_up()
    if interrupt is not None:
        raise interrupt


def stage(
    folder: Path,
    token: str,
    contents: Mapping[Path, Content],
    remove: tuple[Path, ...],
) -> None:
    """Write the files under temporary names, then bring them into place."""
    journal = folder / f"{token}.journal"
    if not journal.exists():  # else an interrupt came later than that
        temporaries = [temporary_name(token, k) for k in range(len(contents))]
        moves = [
            Move(temporary, path.name, identity(path))
            for temporary, path in zip(temporaries, contents, strict=True)
        ]
        try:
            for move, (path, content) in zip(moves, contents.items(), strict=True):
                if path.is_dir() and not path.is_symlink():
                    raise IsADirectoryError(21, "Is a directory", str(path))
                write_synced(folder / move.temporary, content)

            # One file alone: its rename is the whole step.
            if len(moves) == 1 and not any(identity(path) for path in remove):
                os.replace(folder / moves[0].temporary, next(iter(contents)))
                sync_folder(folder)
                return
            sync_folder(folder)
            gone = [Move("", path.name, identity(path)) for path in remove if identity(path)]
            write_journal(journal, [*gone, *moves])
        except Exception:
            forget_temporaries(folder, token)
            raise
    try:
        commit(journal)
    except OSError as error:
        raise InvertError(
            f"{folder}: the new files cannot be brought into place ({error}); they are finished, "
            "and the next command that reads or writes there tries again"
        ) from error


def write_synced(path: Path, content: Content) -> None:
    """Write and sync a new file that others may read as the umask allows."""
    with open(path, "wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)
        file.flush()
        os.fsync(file.fileno())
