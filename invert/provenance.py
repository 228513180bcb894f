"""What a file was made from, written in the file itself: results are told from other files by it.

A record is a JSON object: `made_by`, the command, and `made_from`, one line for each source: "file
DIGEST" of a photograph or a table, "latent DIGEST", "seed 7", and "network NAME" or "network
FINGERPRINT", which is the same whatever kind of file the network lies in. A plain picture of a
latent only says which one it shows, {"latent": DIGEST}, so that whoever renders that latent writes
the same bytes.

It lies in the metadata of a latent, in the JSON under the key `invert` of other safetensors files
and in a PNG's text chunk of that name, in the comment of a GIF or MP4, in the EXIF description of
a WebP, and among the keys of a JSON report.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invert.errors import InvertError

if TYPE_CHECKING:
    from torch import Tensor

    from invert.latents.latent import Latent

KEY = "invert"
EXIF_DESCRIPTION = 0x010E
MAX_RECORD_BYTES = 16 << 20  # of a JSON report or a safetensors header
SHOWN_PARTS = ("styles", "features", "rgb", "noise", "label")  # a companion is never rendered
Record = Mapping[str, Any]


def record(made_by: str, made_from: tuple[str, ...]) -> dict[str, Any]:
    """The record of a result."""
    return {"made_by": made_by, "made_from": list(made_from)}


def as_text(found: Record) -> str:
    """A record as it is written."""
    return json.dumps(dict(found), sort_keys=True)


def picture_of(latent: Latent) -> dict[str, Any]:
    """The record of a plain picture of a latent."""
    return {"latent": latent_digest(latent)}


def latent_digest(latent: Latent) -> str:
    """SHA-256 of all that is rendered: the generator, and the values in the precision they have.

    A style is the same as a vector and as a map of one cell.
    """
    import torch

    space = latent.space
    digest = hashlib.sha256(f"{space.base} {space.layer} {latent.fingerprint}".encode())
    for name in SHOWN_PARTS:
        for tensor in shown_tensors(latent, name):
            values = tensor.detach().cpu().contiguous()
            digest.update(f"\n{name} {list(values.shape)} {values.dtype}\n".encode())
            digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def shown_tensors(latent: Latent, name: str) -> list[Tensor]:
    """The tensors of one part, styles one by one."""
    part = getattr(latent, name)
    if name == "styles" and latent.space.base == "W+":
        return [s.flatten(1) if s.shape[2:].numel() == 1 else s for s in latent.style_list()]
    return list(part) if isinstance(part, tuple) else [] if part is None else [part]


def file_digest(path: Path) -> str | None:
    """SHA-256 of a regular file; None of anything else and of what cannot be read."""
    digest = hashlib.sha256()
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (OSError, ValueError):
        return None
    return digest.hexdigest()


def network_digest(path: Path) -> str | None:
    """The fingerprint of the network in a file, the file's SHA-256 where it holds none; as
    :func:`file_digest`.

    A file is read once, however many results are made with it.
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


def made_from(found: Record) -> tuple[str, ...] | None:
    """The sources that a record names; None where it names none."""
    sources = found.get("made_from")
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        return None
    return tuple(sources)


def read_torch(path: Path) -> Any:
    from invert.latents.latent import Latent

    return dict(Latent.load(path).metadata)


def read_safetensors(path: Path) -> Any:
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MAX_RECORD_BYTES:
            return {}
        content = json.loads(json.loads(file.read(length))["__metadata__"][KEY])
    if content.get("format") == "invert-latent":
        return content["metadata"]
    return content.get("details", content)  # of a checkpoint


def read_png(path: Path) -> Any:
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as image:
        return json.loads(image.info[KEY])


def read_gif(path: Path) -> Any:
    from PIL import Image

    with Image.open(path, formats=["GIF"]) as image:
        return json.loads(image.info["comment"])


def read_webp(path: Path) -> Any:
    from PIL import Image

    with Image.open(path, formats=["WEBP"]) as image:
        return json.loads(image.getexif()[EXIF_DESCRIPTION])


def read_mp4(path: Path) -> Any:
    import av

    with av.open(str(path)) as container:
        return json.loads(container.metadata["comment"])


def read_json(path: Path) -> Any:
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


def digest_of_latent_file(path: Path) -> str | None:
    """The digest of the latent in a file; None where there is none."""
    from invert.latents.latent import Latent

    try:
        return latent_digest(Latent.load(path))
    except (InvertError, OSError):
        return None
