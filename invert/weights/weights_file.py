"""The converted file of a model, which says what archive and what converter it came from.

Generators are ordinary checkpoints of this library. Other networks use the same envelope (one
metadata key, `invert`), so that reading one as a generator fails with the name of its architecture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from invert.files.regular_files import read_regular
from invert.files.seals import KEY, PLACE, seal, seal_holds
from invert.weights.registry import Model

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 4 << 30


def write_weights(path: Path, model: Model, tensors: Mapping[str, Tensor]) -> None:
    """Write the file, complete or not at all. Raises InvertError when the disk refuses."""
    # These bring torch along, which the rest of this package does without.
    from invert.checkpoints import Checkpoint
    from invert.checkpoints.checkpoint import check
    from invert.checkpoints.safe_safetensors import save_safetensors
    from invert.files.atomic_files import write_atomically

    details = {"source": _source(model), "licence": model.licence, KEY: PLACE}
    if model.kind == "generator":
        check(Checkpoint(model.architecture, "invert", {}, tensors, details), allow_nonfinite=True)
    metadata = {"architecture": model.architecture, "config": {}, "details": details, "version": 1}
    data = seal(save_safetensors(metadata, tensors))
    write_atomically(path, lambda file: file.write(data))


class State(Enum):
    """What a cached file is."""

    SOUND = "whole, current, and the bytes that were written"
    MISSING = "not there, or made by another version of its converter"
    UNKNOWN = "older than the digest of such files, and not the bytes that were usual"
    DAMAGED = "damaged, not the bytes that were written"


def state_of(path: Path, model: Model) -> State:
    """What the file is, by all of its bytes; hashed once per process while it stays the same."""
    try:
        status = path.stat()
    except OSError:
        return State.MISSING
    return _state(path, model, status.st_mtime_ns, status.st_size, status.st_ino)


@cache
def _state(path: Path, model: Model, *_: int) -> State:
    try:
        data = read_regular(path, MAX_BYTES)
    except OSError:
        return State.MISSING
    held, source = seal_holds(data), _source_in(path)
    if held is False or source is None:
        return State.DAMAGED
    if source != _source(model):
        return State.MISSING
    if held is None and hashlib.sha256(data).hexdigest() != model.unsealed:
        return State.UNKNOWN
    return State.SOUND


def is_current(path: Path, model: Model) -> bool:
    """Whether a whole file of this very model is there, made by this version of its converter.

    Opening a safetensors file parses its header and compares the length it promises with the
    file's. The weights themselves are not read, so this takes no time.
    """
    return _source_in(path) == _source(model)


def _source_in(path: Path) -> object:
    """What a converted file says that it was made from; None where nothing is said."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return None
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {}).get("invert", "{}"))
        return metadata["details"]["source"]
    except (OSError, SafetensorError, ValueError, TypeError, KeyError):
        return None


def _source(model: Model) -> dict[str, str | int]:
    return {
        "model": model.name,
        "package": model.requirement,
        "sha256": model.sha256,
        "conversion": model.conversion,
    }
