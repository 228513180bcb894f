"""Files that are either the old one or the new one, never a torn one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

from invert.errors import InvertError


def write_atomically(path: str | Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Call `write(file)` on a temporary file beside `path`, sync it, and rename it into place.

    Raises :class:`InvertError` naming the path when the disk or the folder refuses; the old file stays.
    """
    path = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.")
        with os.fdopen(handle, "wb") as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(temporary, 0o666 & ~current_umask())  # mkstemp makes files private
        os.replace(temporary, path)
        temporary = None
    except (OSError, RuntimeError) as error:
        raise InvertError(f"{path}: cannot be written ({error}); the old file, if any, is intact") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def write_set(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together, in this order: where the last one is, the others are."""
    for path, data in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, partial(put, data))


def put(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
