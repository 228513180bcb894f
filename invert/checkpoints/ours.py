"""Our own checkpoints: files of :mod:`invert.checkpoints.file_format`, version 1.

The metadata hold `architecture`, `config` and `details`, and nothing else beside the version.
Tensors MUST have canonical names and SHOULD be float32. Readers MUST refuse a version they do not
know.
"""

from __future__ import annotations

import os

from invert.checkpoints.checkpoint import Checkpoint, check, float32_tensors
from invert.checkpoints.container import Container
from invert.checkpoints.file_format import FileFormat
from invert.checkpoints.layout import Found
from invert.checkpoints.nodes import quoted
from invert.checkpoints.safe_safetensors import load_safetensors
from invert.errors import ModelFileError

FORMAT = "invert"  # as `Checkpoint.format` calls it


def file_format(architecture: str) -> FileFormat:
    """The file format of our checkpoints of one architecture."""
    return FileFormat("checkpoint", key="architecture", name=architecture, hint="convert it again")


def read(data: bytes) -> Checkpoint:
    """The checkpoint in the bytes of a file of `write_checkpoint`; ModelFileError for others."""
    metadata, tensors = load_safetensors(data)
    architecture = metadata.get("architecture")
    file_format(str(architecture)).check_version(metadata)

    config, details = metadata.get("config"), metadata.get("details")
    if not (
        isinstance(architecture, str) and isinstance(config, dict) and isinstance(details, dict)
    ):
        raise ModelFileError(
            "architecture, config or details are missing in the metadata; the file is damaged"
        )

    weights = float32_tensors(dict(sorted(tensors.items())))
    return Checkpoint(architecture, FORMAT, config, weights, details)


def read_state_dict(container: Container, found: Found) -> Checkpoint:
    """The checkpoint of a MobileStyleGAN with our names in a container of others.

    A StyleGAN2 with such names is read elsewhere: they are NVIDIA's, too.
    """
    nodes, _ = found.content()
    tensors = {name: container.tensor(node, quoted(name)) for name, node in sorted(nodes.items())}
    return Checkpoint("mobile-stylegan", FORMAT, {}, float32_tensors(tensors), {})


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write `checkpoint` as safetensors: the old file or the whole new one, never a torn one.

    The same checkpoint gives the same bytes. Raises ModelFileError when it is not valid (NaN and
    infinity are allowed here: whoever read them has agreed to them), InvertError when the disk
    refuses.
    """
    check(checkpoint, allow_nonfinite=True)
    details = dict(checkpoint.details)
    if checkpoint.format != FORMAT:
        details["converted_from"] = checkpoint.format

    fields = {"config": dict(checkpoint.config), "details": details}
    file_format(checkpoint.architecture).write(path, fields, checkpoint.tensors)
