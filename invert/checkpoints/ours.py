"""Our own format: safetensors with one metadata key, `invert`.

Format version 1. A file MUST be a valid safetensors file whose metadata has the key `invert` and no other
(the library writes several in random order), a JSON object with sorted keys `architecture`, `config`,
`details` and `version`. Tensors MUST have canonical names and SHOULD be float32. Readers MUST refuse a
version they do not know.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError

from invert.atomic import write_atomically
from invert.checkpoints.checkpoint import JSON, Checkpoint, check, float32_tensors
from invert.checkpoints.nodes import quoted
from invert.errors import ModelFileError

FORMAT = "invert"
VERSION = 1
MAX_HEADER_BYTES = 4 << 20
MAX_TENSORS = 10_000


def read(data: bytes) -> Checkpoint:
    """The checkpoint in the bytes of a file of `write_checkpoint`. Raises ModelFileError for others."""
    metadata = _metadata(data)
    version, architecture = metadata.get("version"), metadata.get("architecture")
    config, details = metadata.get("config"), metadata.get("details")
    if version != VERSION:
        raise ModelFileError(f"checkpoint version {VERSION} is supported, this is {str(version)[:20]}; update invert")
    if not isinstance(architecture, str) or not isinstance(config, dict) or not isinstance(details, dict):
        raise ModelFileError("architecture, config or details are missing in the metadata; the file is damaged")
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelFileError(f"damaged safetensors file ({quoted(str(error))}); copy or download it again") from None
    return Checkpoint(architecture, FORMAT, config, float32_tensors(dict(sorted(tensors.items()))), details)


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path` as safetensors; the old file or the whole new one, never a torn one.

    The same checkpoint gives the same bytes. Raises ModelFileError when it is not valid (NaN and infinity are
    allowed here: whoever read them has agreed to them), InvertError when the disk refuses.
    """
    check(checkpoint, allow_nonfinite=True)
    details = dict(checkpoint.details)
    if checkpoint.format != FORMAT:
        details["converted_from"] = checkpoint.format
    metadata = {
        "architecture": checkpoint.architecture,
        "config": dict(checkpoint.config),
        "details": details,
        "version": VERSION,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    data = safetensors.torch.save(tensors, {"invert": json.dumps(metadata, sort_keys=True)})
    write_atomically(os.fspath(path), lambda file: file.write(data))


def _metadata(data: bytes) -> Mapping[str, JSON]:
    """The object under `invert`. Read here because the library silently keeps the last of two equal keys."""
    size = int.from_bytes(data[:8], "little")
    if size > min(MAX_HEADER_BYTES, len(data) - 8):
        raise ModelFileError(
            f"damaged safetensors file (a header of {size} bytes in a file of {len(data)}, "
            f"at most {MAX_HEADER_BYTES}); copy or download it again"
        )
    try:
        header = json.loads(data[8 : 8 + size].decode("utf-8"), object_pairs_hook=_unique)
        content = header.get("__metadata__", {}) if isinstance(header, dict) else {}
        text = content.get("invert") if isinstance(content, dict) else None
        metadata = json.loads(text, object_pairs_hook=_unique) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        raise ModelFileError("damaged safetensors file (its header is not JSON); copy or download it again") from None
    if isinstance(header, dict) and len(header) > MAX_TENSORS:
        raise ModelFileError(f"the file lists {len(header)} tensors, the limit is {MAX_TENSORS}; this is no generator")
    if not isinstance(metadata, dict):
        raise ModelFileError(
            "a safetensors file that invert did not write (no `invert` in its metadata); use the original"
        )
    return metadata


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ModelFileError("damaged safetensors file (a key stands twice in its header); do not trust this file")
    return result
