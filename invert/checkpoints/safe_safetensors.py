"""safetensors files, ours (JSON under the metadata key `invert`) and others, read without trust.

The kinds of files that invert writes are told apart in :mod:`invert.checkpoints.file_format`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from invert.checkpoints.checkpoint import JSON
from invert.checkpoints.nodes import quoted
from invert.errors import ModelFileError, UsageError

MAX_HEADER_BYTES = 4 << 20
MAX_TENSORS = 10_000


class NotOurs(ModelFileError):
    """A sound safetensors file without the metadata that invert writes."""

    def __init__(self) -> None:
        super().__init__(
            "a safetensors file that invert did not write (no `invert` in its metadata), "
            "nor a generator that it knows; use the original"
        )


def save_safetensors(
    metadata: Mapping[str, JSON], tensors: Mapping[str, Tensor], *, allow_nan: bool = True
) -> bytes:
    """The bytes of a file with `metadata` under the key `invert`: the same input, the same bytes.

    The library writes several keys in random order, hence one key with sorted JSON in it. Raises
    TypeError and ValueError for what is no JSON, as `json.dumps` does, :class:`UsageError` for more
    than a file may have.
    """
    text = json.dumps(dict(metadata), sort_keys=True, allow_nan=allow_nan)
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = safetensors.torch.save(on_cpu, {"invert": text})
    if (size := int.from_bytes(data[:8], "little")) > MAX_HEADER_BYTES:
        raise UsageError(f"metadata of {size} bytes, a file has at most {MAX_HEADER_BYTES}")
    return data


def load_safetensors(data: bytes) -> tuple[dict[str, JSON], dict[str, Tensor]]:
    """The object under the metadata key `invert`, and the tensors by name.

    Raises ModelFileError for a damaged file, for equal keys and for too many tensors, NotOurs for a
    file without our metadata.
    """
    return _metadata(_header(data)), _tensors(data)


def load_foreign_safetensors(data: bytes) -> dict[str, Tensor]:
    """The tensors of a file that need not be ours, by name; the same errors otherwise."""
    _header(data)
    return _tensors(data)


def is_foreign(data: bytes) -> bool:
    """Whether the metadata lack the key `invert`. Raises ModelFileError for a damaged header."""
    metadata = _header(data).get("__metadata__", {})
    return isinstance(metadata, dict) and "invert" not in metadata


def _tensors(data: bytes) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"damaged safetensors file ({quoted(str(error))}); copy or download it again"
        ) from None


def _header(data: bytes) -> dict[str, JSON]:
    """The header. Read here because the library silently keeps the last of two equal keys."""
    # Its length comes first, in eight bytes.
    size = int.from_bytes(data[:8], "little")
    if size > min(MAX_HEADER_BYTES, len(data) - 8):
        raise ModelFileError(
            f"damaged safetensors file (a header of {size} bytes in a file of {len(data)}, "
            f"at most {MAX_HEADER_BYTES}); copy or download it again"
        )

    header = _json(data[8 : 8 + size])
    if not isinstance(header, dict):
        raise NotOurs
    if len(header) > MAX_TENSORS:
        raise ModelFileError(
            f"the file lists {len(header)} tensors, the limit is {MAX_TENSORS}; "
            "this is no generator"
        )
    return header


def _metadata(header: dict[str, JSON]) -> dict[str, JSON]:
    content = header.get("__metadata__", {})
    text = content.get("invert") if isinstance(content, dict) else None
    metadata = _json(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else None
    if not isinstance(metadata, dict):
        raise NotOurs
    return metadata


def _json(text: bytes) -> JSON:
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise ModelFileError(
            "damaged safetensors file (its header is not JSON); copy or download it again"
        ) from None


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ModelFileError(
            "damaged safetensors file (a key stands twice in its header); do not trust this file"
        )
    return result
