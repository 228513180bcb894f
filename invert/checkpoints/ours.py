"""Our own format: safetensors with one metadata key, `invert`.

Format version 1. A file MUST be a valid safetensors file whose metadata has the key `invert` and no
other (the library writes several in random order), a JSON object with sorted keys `architecture`,
`config`, `details` and `version`. Tensors MUST have canonical names and SHOULD be float32. Readers
MUST refuse a version they do not know.
"""

from __future__ import annotations

import json
import os

import safetensors.torch

from invert.checkpoints.checkpoint import Checkpoint, check, float32_tensors
from invert.checkpoints.container import Container
from invert.checkpoints.layout import Found
from invert.checkpoints.nodes import quoted
from invert.checkpoints.safe_safetensors import load_safetensors
from invert.errors import ModelFileError
from invert.files.atomic_files import write_atomically

FORMAT = "invert"
VERSION = 1


def read(data: bytes) -> Checkpoint:
    """The checkpoint in the bytes of a file of `write_checkpoint`. Raises ModelFileError for
    others.
    """
    metadata, tensors = load_safetensors(data)
    version, architecture = metadata.get("version"), metadata.get("architecture")
    config, details = metadata.get("config"), metadata.get("details")
    if version != VERSION:
        raise ModelFileError(
            f"checkpoint version {VERSION} is supported, this is {str(version)[:20]}; update invert"
        )
    if (
        not isinstance(architecture, str)
        or not isinstance(config, dict)
        or not isinstance(details, dict)
    ):
        raise ModelFileError(
            "architecture, config or details are missing in the metadata; the file is damaged"
        )
    return Checkpoint(
        architecture, FORMAT, config, float32_tensors(dict(sorted(tensors.items()))), details
    )


def read_state_dict(container: Container, found: Found) -> Checkpoint:
    """The checkpoint of our names in a container of others. StyleGAN2's are read elsewhere, being
    NVIDIA's too.
    """
    nodes, _ = found.content()
    tensors = {name: container.tensor(node, quoted(name)) for name, node in sorted(nodes.items())}
    return Checkpoint("mobile-stylegan", FORMAT, {}, float32_tensors(tensors), {})


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path` as safetensors; the old file or the whole new one, never a torn
    one.

    The same checkpoint gives the same bytes. Raises ModelFileError when it is not valid (NaN and
    infinity are
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
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()
    }
    data = safetensors.torch.save(tensors, {"invert": json.dumps(metadata, sort_keys=True)})
    write_atomically(os.fspath(path), lambda file: file.write(data))
