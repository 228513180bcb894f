"""What the checkpoint tests share: reading bytes, refusing bytes, comparing networks."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
import torch
from audit import forbidden_events
from pickle_writer import FIXTURES
from torch import Tensor

from invert.checkpoints import Checkpoint, fingerprint, read_checkpoint
from invert.errors import ModelFileError

DEFAULT_CONFIG = {
    "conv_clamp": None,
    "mapping_lr_multiplier": 0.01,
    "resample_filter": [1, 3, 3, 1],
}


def same_tensors(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def identity(checkpoint: Checkpoint) -> str:
    return fingerprint(checkpoint.tensors, checkpoint.config)


def read_bytes(folder: Path, data: bytes) -> Checkpoint:
    """The checkpoint in the bytes; asserts that reading them imported, executed, wrote and started
    nothing.
    """
    path = folder / "model.bin"  # never a telling extension
    path.write_bytes(data)
    warm_up()
    with forbidden_events() as events:
        try:
            return read_checkpoint(path)
        finally:
            assert not events, events


@cache
def warm_up() -> None:
    """What torch and safetensors import on first use is theirs, not the file's."""
    for name in ("ada_tiny.pkl", "tf_tiny.pkl", "rosinality_tiny.pt"):
        read_checkpoint(FIXTURES / name)
    "".encode("cp437")  # zipfile's codec for names
    for legacy in (False, True):
        stream = io.BytesIO()
        torch.save({"g": torch.zeros(1)}, stream, _use_new_zipfile_serialization=not legacy)
        stream.seek(0)
        torch.load(stream, weights_only=True)


def refuse_bytes(folder: Path, data: bytes, match: str) -> str:
    """Assert that the bytes are refused in one line that starts with the path and matches; the
    message.
    """
    with pytest.raises(ModelFileError, match=match) as caught:
        read_bytes(folder, data)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'model.bin'}: ")
    assert "\n" not in message
    return message


def saved(path: Path, value: object, *, legacy: bool = False) -> Path:
    """`path`, now a torch.save file of `value`."""
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path
