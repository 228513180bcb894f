"""Latent files: `.pt` (a plain dict of tensors and JSON-like values) and `.safetensors`, read without trust.

The format is described in docs/latent-files.md. Readers refuse a version they do not know.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from invert.atomic import write_atomically
from invert.checkpoints.safe_safetensors import load_safetensors
from invert.checkpoints.safe_torch import load_tensors
from invert.checkpoints.source import naming, read_file
from invert.errors import LatentError, ModelFileError, NotALatentError, SpaceError
from invert.file_kinds import FileKind
from invert.latents import PARTS, Latent
from invert.recognition import expecting
from invert.spaces import Space

FORMAT, VERSION = "invert-latent", 1


def save_latent(latent: Latent, path: Path) -> None:
    """Write `latent` to `path`: old file or new file, never a torn one."""
    data = encode_latent(latent, path.suffix)
    write_atomically(path, lambda f: f.write(data))


def encode_latent(latent: Latent, suffix: str) -> bytes:
    """The bytes of a latent file of that suffix."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "space": str(latent.space),
        "fingerprint": latent.fingerprint,
        "metadata": json.loads(json.dumps(latent.metadata)),
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in flatten(latent).items()}
    if suffix == ".safetensors":
        return save(tensors, {"invert": json.dumps(header, sort_keys=True)})

    # clone: a view would drag its whole storage into the file
    content = header | {"tensors": {k: t.clone() for k, t in tensors.items()}}
    encoded = io.BytesIO()
    torch.save(content, encoded)
    return encoded.getvalue()


def load_latent(path: Path) -> Latent:
    """The latent in `path`. Raises :class:`ModelFileError`: `PATH: what is wrong; what to do`."""
    if not path.is_file():
        raise ModelFileError(f"{path}: no such latent file; `invert project` writes one")
    with expecting(FileKind.LATENT, path, "not a latent of invert"):
        header, tensors = read_container(path)
    try:
        return build(header, tensors)
    except (LatentError, SpaceError, ModelFileError) as error:
        raise ModelFileError(f"{path}: {error}") from error


def read_container(path: Path) -> tuple[Mapping[str, Any], Any]:
    """The fields of a latent file, and its tensors. Raises :class:`ModelFileError`; what is in them is not checked."""
    header: Any
    tensors: Any
    if path.suffix == ".safetensors":
        with naming(path):
            header, tensors = load_safetensors(read_file(path))
    else:
        header = load_tensors(path)
        tensors = header.get("tensors") if isinstance(header, dict) else None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise NotALatentError(f"{path}: not a latent of invert; `invert info` tells what it is")
    return header, tensors


def build(header: Mapping[str, Any], tensors: Any) -> Latent:
    if header.get("version") != VERSION:
        raise ModelFileError(f"latent format {header.get('version')!r}, expected {VERSION}; update invert")
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise ModelFileError("expected a dict of tensors under 'tensors'")
    metadata, fingerprint = header.get("metadata", {}), header.get("fingerprint")
    if not isinstance(metadata, dict) or not isinstance(fingerprint, str):
        raise ModelFileError("metadata or generator fingerprint missing")
    bad = [name for name, t in tensors.items() if not t.is_floating_point() or not bool(t.isfinite().all())]
    if bad:
        raise ModelFileError(f"tensor {bad[0]!r} is not finite floating point")
    parts: dict[str, Any] = {}
    for name in PARTS:
        numbered = [k for k in tensors if k.startswith(f"{name}.")]
        if name in tensors:
            parts[name] = tensors[name]
        elif numbered:
            try:
                parts[name] = tuple(tensors[f"{name}.{k}"] for k in range(len(numbered)))
            except KeyError as error:
                raise ModelFileError(f"tensor {error} is missing") from error
    unknown = [k for k in tensors if k.split(".")[0] not in PARTS]
    if unknown or "styles" not in parts:
        raise ModelFileError(f"unexpected tensor {unknown[0]!r}" if unknown else "styles are missing")
    return Latent(Space.parse(str(header.get("space"))), fingerprint=fingerprint, metadata=metadata, **parts)


def flatten(latent: Latent) -> dict[str, Tensor]:
    """{"styles": …} or {"styles.0": …, "styles.1": …}, and so on for every part."""
    out: dict[str, Tensor] = {}
    for name in PARTS:
        part = getattr(latent, name)
        if isinstance(part, tuple):
            out |= {f"{name}.{k}": t for k, t in enumerate(part)}
        elif part is not None:
            out[name] = part
    return out
