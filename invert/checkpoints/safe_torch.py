"""torch.load with weights_only=True, on files that were checked first and with messages of our own.

`weights_only` alone still lets a file of a kilobyte declare a tensor of 10^12 elements, believes a
declared storage size that its data does not have, inflates compressed archives, and answers a
damaged file with the advice to switch the safety off. Here the object's pickle is first read by the
symbolic machine, which also checks every tensor.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import torch
from torch.torch_version import TorchVersion

from invert.checkpoints.pickle_machine import read_pickle
from invert.checkpoints.source import Kind, naming, read_file, sniff
from invert.checkpoints.torch_storage import (
    REBUILD_PARAMETER,
    REBUILD_TENSOR,
    STORAGE_DTYPES,
    Stream,
    check_tensors,
    read_stream,
)
from invert.checkpoints.torch_zip import read_archive
from invert.errors import ModelFileError

# Dense tensors and plain data; sparse, quantized and meta tensors have other rebuild functions.
_ALLOWED = frozenset(
    {
        *STORAGE_DTYPES,
        REBUILD_TENSOR,
        REBUILD_PARAMETER,
        "torch.Size",
        "torch.device",
        "torch.float32",
        "torch.float64",
        "torch.float16",
        "torch.bfloat16",
        "torch.int64",
        "collections.OrderedDict",
        "_codecs.encode",
        "builtins.set",
        "__builtin__.set",
    }
)
_MINIMUM_TORCH = "2.10"


def load_tensors(path: str | os.PathLike[str], *, allow: Sequence[type] = ()) -> object:
    """The object in a torch.save file: dicts, lists, strings, numbers and dense CPU tensors.

    `allow` are further classes that may be constructed, such as `argparse.Namespace`. Raises
    ModelFileError (`PATH: what; hint`) for anything else, for a damaged file, for a tensor that
    asks for more than its storage holds, and with torch older than 2.10.
    """
    with naming(path):
        data = read_file(path)
        kind = sniff(data)
        if kind not in (Kind.TORCH_ZIP, Kind.TORCH_STREAM):
            raise ModelFileError(f"a torch.save file was expected, this is {kind.value}")
        return load_tensors_from(data, kind, allow=allow)


def load_tensors_from(data: bytes, kind: Kind, *, allow: Sequence[type] = ()) -> object:
    """`load_tensors` for bytes at hand; errors do not name the file."""
    if TorchVersion(torch.__version__) < TorchVersion(_MINIMUM_TORCH):
        raise ModelFileError(
            f"torch {torch.__version__} has known holes in reading such files "
            "(CVE-2025-32434, CVE-2026-24747); install torch 2.10 or later"
        )

    # Read the pickle without running it, then let torch load what passed.
    allowed = _ALLOWED | {f"{cls.__module__}.{cls.__qualname__}" for cls in allow}
    read_torch_file(data, kind, allowed)
    try:
        with torch.serialization.safe_globals(list(allow)):
            return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    # whatever torch raises, its text recommends to load the file without any safety
    except Exception:
        raise ModelFileError(
            "torch cannot read this file; it is damaged, copy or download it again"
        ) from None


def read_torch_file(
    data: bytes, kind: Kind, allowed: frozenset[str], *, strict: bool = True
) -> Stream:
    """The object of a torch.save file of either kind as nodes, and its storages.

    Every tensor lies inside its storage. `allowed` and `strict` as in `read_pickle`.
    """
    if kind is Kind.TORCH_STREAM:
        content = read_stream(data, allowed, strict=strict)
    else:
        archive = read_archive(data)
        stream = io.BytesIO(archive.pickle)
        pickle = read_pickle(stream, allowed, strict=strict, persistent=True)
        if stream.tell() != len(archive.pickle):
            raise ModelFileError(
                "bytes follow the end of the archive's pickle; do not trust this file"
            )
        content = Stream(pickle, archive.storages)
    check_tensors(content.pickle, content.storages)
    return content
