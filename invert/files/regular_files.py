"""Files that users name are read here alone: whole, once, and never one that has no end."""

from __future__ import annotations

import errno
import os
import stat

# A pipe that nobody writes to would wait for ever in open(), a terminal would become ours.
NOT_BLOCKING = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_BINARY", "O_NOCTTY"))
NO_REGULAR_FILE = "not a regular file but a device, pipe or socket"


def is_missing(path: str | os.PathLike[str]) -> bool:
    """Whether nothing lies at a path; False where the system does not say, as in a folder that may
    not be searched: reading tells why.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def read_regular(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """The content of a regular file of at most `max_bytes`.

    Raises :class:`OSError`, as `open` does, with a `strerror` to show: for what is missing, for
    folders, pipes and devices, and for files that are larger or change while they are read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | NOT_BLOCKING)
    except ValueError as error:  # a name that holds a null byte
        raise OSError(errno.EINVAL, str(error)) from None

    with open(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, NO_REGULAR_FILE)
        if status.st_size > max_bytes:
            limit = f"larger than {max_bytes / 2**20:.4g} MiB"
            raise OSError(errno.EFBIG, f"{limit}: {status.st_size} bytes, the limit is {max_bytes}")
        data = file.read(status.st_size + 1)

    if len(data) != status.st_size:
        raise OSError(errno.EAGAIN, "changed while it was read")
    return data
