"""The records in files of all kinds: what a result says it was made from, and what a source is.

A record (`invert.files.provenance`) is read from any file, none of which is trusted: what cannot be
read has none. Sources are named by digests of their content.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invert.errors import InvertError

if TYPE_CHECKING:
    from invert.files.provenance import Record

MAX_RECORD_BYTES = 16 << 20  # of a JSON report or a safetensors header


def read_record(path: Path) -> Record:
    """The record in a regular file; empty where there is none. Nothing in the file is trusted."""
    reader = READERS.get(path.suffix.lower())
    try:
        if reader is None or not stat.S_ISREG(os.stat(path).st_mode):
            return {}
        found = reader(path)
    except Exception:  # a file of any kind, damaged in any way: not one of ours
        return {}
    return found if isinstance(found, dict) else {}


def read_torch(path: Path) -> Any:
    """The metadata of a latent."""
    from invert.commands.latents_read import read_latent

    return dict(read_latent(path).metadata)


def read_safetensors(path: Path) -> Any:
    """The JSON under our key, of a latent its metadata, of a checkpoint its details."""
    from invert.files.provenance import KEY

    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MAX_RECORD_BYTES:
            return {}
        content = json.loads(json.loads(file.read(length))["__metadata__"][KEY])
    if content.get("format") == "invert-latent":
        return content["metadata"]
    return content.get("details", content)


def read_png(path: Path) -> Any:
    """The text chunk under our key."""
    from PIL import Image

    from invert.files.provenance import KEY

    with Image.open(path, formats=["PNG"]) as image:
        return json.loads(image.info[KEY])


def read_gif(path: Path) -> Any:
    """The comment."""
    from PIL import Image

    with Image.open(path, formats=["GIF"]) as image:
        return json.loads(image.info["comment"])


def read_webp(path: Path) -> Any:
    """The EXIF description."""
    from PIL import Image

    from invert.files.provenance import EXIF_DESCRIPTION

    with Image.open(path, formats=["WEBP"]) as image:
        return json.loads(image.getexif()[EXIF_DESCRIPTION])


def read_mp4(path: Path) -> Any:
    """The comment of the container."""
    import av

    with av.open(str(path)) as container:
        return json.loads(container.metadata["comment"])


def read_json(path: Path) -> Any:
    """The report itself."""
    if path.stat().st_size > MAX_RECORD_BYTES:
        return {}
    return json.loads(path.read_bytes())


READERS = {
    ".pt": read_torch,
    ".safetensors": read_safetensors,
    ".png": read_png,
    ".gif": read_gif,
    ".webp": read_webp,
    ".mp4": read_mp4,
    ".json": read_json,
}


def file_digest(path: Path) -> str | None:
    """SHA-256 of a regular file; None of anything else and of what cannot be read.

    None of more than 4 GiB too: no command reads a larger file.
    """
    from invert.checkpoints.source import MAX_FILE_BYTES

    digest = hashlib.sha256()
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
            return None
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (OSError, ValueError):
        return None
    return digest.hexdigest()


def network_digest(path: Path) -> str | None:
    """The fingerprint of the network in a file; the file's SHA-256 if it holds none.

    None of what :func:`file_digest` has no digest of. A file is read once, however many results are
    made with it.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return _network_digest(path.resolve(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _network_digest(path: Path, modified: int, size: int) -> str | None:
    from invert.checkpoints import fingerprint, read_checkpoint

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whoever opens the network says them
            checkpoint = read_checkpoint(path, allow_nonfinite=True)
    except InvertError:
        return file_digest(path)
    return fingerprint(checkpoint.tensors, checkpoint.config)
