"""One function for every checkpoint format; which one it is, is decided by content, never by name."""

from __future__ import annotations

import io
import os

from invert.checkpoints import ours, rosinality, stylegan2_ada, stylegan2_tf
from invert.checkpoints.checkpoint import Checkpoint, check, unsupported
from invert.checkpoints.nodes import describe, is_mapping
from invert.checkpoints.pickle_machine import read_pickle
from invert.checkpoints.source import Kind, naming, read_file, sniff
from invert.errors import ModelFileError


def read_checkpoint(path: str | os.PathLike[str], *, allow_nonfinite: bool = False) -> Checkpoint:
    """The generator in a file of any supported format; nothing in the file is imported, called or executed.

    Raises ModelFileError (`PATH: what; hint`) for a damaged, hostile, foreign or unsupported file, and for
    weights with NaN or infinity unless `allow_nonfinite`.
    """
    with naming(path):
        data = read_file(path)
        checkpoint = _read(data)
        check(checkpoint, allow_nonfinite=allow_nonfinite)
        return checkpoint


def _read(data: bytes) -> Checkpoint:
    kind = sniff(data)
    if kind is Kind.SAFETENSORS:
        return ours.read(data)
    if kind in (Kind.TORCH_ZIP, Kind.TORCH_STREAM):
        return rosinality.read(data, kind)
    stream = io.BytesIO(data)
    pickle = read_pickle(stream, stylegan2_ada.GLOBALS | stylegan2_tf.GLOBALS)
    if stream.tell() != len(data):
        raise ModelFileError(f"{len(data) - stream.tell()} bytes follow the end of the pickle; do not trust this file")
    if is_mapping(pickle.root):
        return stylegan2_ada.read(pickle, len(data))
    if isinstance(pickle.root, tuple):
        return stylegan2_tf.read(pickle, len(data))
    raise unsupported(f"a pickle of {describe(pickle.root)}")
