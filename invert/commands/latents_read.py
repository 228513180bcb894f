"""Latent files as commands read them: once, however many parts of a command look into them."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from invert.errors import InvertError

if TYPE_CHECKING:
    from invert.latents.latent import Latent

REMEMBERED = 2  # files: the source of an edit, and the result that it replaces


def read_latent(path: Path) -> Latent:
    """The latent in a file, which is read again only when the file has changed.

    The tensors are those of all who ask. Raises as `Latent.load` does.
    """
    from invert.latents.latent import Latent

    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return Latent.load(path)  # which may recover it, or says what is wrong
    return _read(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=REMEMBERED)
def _read(path: Path, *_: int) -> Latent:
    from invert.latents.latent import Latent

    return Latent.load(path)


def digest_of_latent_file(path: Path) -> str | None:
    """The digest of the latent in a file; None where there is none."""
    from invert.latents.digests import latent_digest

    try:
        return latent_digest(read_latent(path))
    except (InvertError, OSError):
        return None
