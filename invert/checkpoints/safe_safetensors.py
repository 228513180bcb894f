"""safetensors files of ours, checkpoints and latents alike, read without trust."""

from __future__ import annotations

import json

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from invert.checkpoints.checkpoint import JSON
from invert.checkpoints.nodes import quoted
from invert.errors import ModelFileError

MAX_HEADER_BYTES = 4 << 20
MAX_TENSORS = 10_000


def load_safetensors(data: bytes) -> tuple[dict[str, JSON], dict[str, Tensor]]:
    """The object under the metadata key `invert`, and the tensors by name.

    Raises ModelFileError for a damaged file, for equal keys, too many tensors, and for a file without our metadata.
    """
    metadata = _metadata(data)
    try:
        return metadata, safetensors.torch.load(data)
    except (SafetensorError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelFileError(f"damaged safetensors file ({quoted(str(error))}); copy or download it again") from None


def _metadata(data: bytes) -> dict[str, JSON]:
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
