"""Every error this library raises on purpose, and the exit code the command line gives it.

A message says what was expected, what came, and what to do, in one line. Anything that is not an
:class:`InvertError` is a bug in `invert`, unless it is the system that refuses a file
(:func:`refused_file`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches


class InvertError(Exception):
    """Root of the tree; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(InvertError, ValueError):
    """An argument is out of its range or names something that does not exist."""

    exit_code = 2


class SpaceError(UsageError):
    """A space does not exist, or a conversion between two would lose information."""


class LatentError(UsageError):
    """The parts of a latent do not fit its space or its generator."""


class ImageError(InvertError):
    """An image file cannot be read as a picture."""

    exit_code = 3


class ModelFileError(InvertError):
    """A model, direction or latent file is damaged, unsafe or of the wrong kind."""

    exit_code = 4


class NotALatentError(ModelFileError):
    """The file is sound as far as it was read, but holds no latent."""


class FingerprintError(ModelFileError):
    """A latent belongs to another generator."""


class ModelUnavailableError(ModelFileError):
    """Weights are neither in the cache nor reachable."""


class ShadowedModuleError(InvertError, ImportError):
    """A file of the user has the name of one of our modules, and Python finds it first."""


class ImageWarning(UserWarning):
    """A picture was read, but not everything in the file could be honoured."""


class ModelFileWarning(UserWarning):
    """A model file was read, but something that it does not say had to be assumed."""


# What the system says about a place, and not about a mistake of ours.
REFUSALS = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS),  # who may use it
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR),  # its name
        *(errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.ENOTCONN),  # its disk
    }
)


def refused_file(error: BaseException) -> str | None:
    """The message about a file that the system refuses; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in REFUSALS:
        return None
    if not isinstance(error.filename, (str, bytes)):
        return None
    name = os.fsdecode(error.filename)
    return f"{name}: cannot be used ({error.strerror}); check the path and its permissions"


def nearest(
    text: str, names: Iterable[str], synonyms: Mapping[str, str] | None = None
) -> str | None:
    """The name that is most like the text or that a synonym of it stands for, if there is one."""
    typed = text.strip().lower().replace("_", "-")
    if synonyms and typed in synonyms:
        return synonyms[typed]
    lowered = {name.lower(): name for name in names}
    found = get_close_matches(typed, lowered, n=1)
    return lowered[found[0]] if found else None


def did_you_mean(text: str, names: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """`; did you mean X?` for a message about an unknown name; empty where no name is near."""
    near = nearest(text, names, synonyms)
    return f"; did you mean {near}?" if near else ""
