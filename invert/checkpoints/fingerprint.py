"""The identity of a network: what ties a latent to the generator it was made with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from invert.checkpoints.checkpoint import JSON


def fingerprint(tensors: Mapping[str, Tensor], config: Mapping[str, JSON]) -> str:
    """SHA-256, in hex, of names, shapes and float32 values in sorted order, and of the config.

    Depends on nothing else, so the same network has the same fingerprint whether it came from a
    pickle or from its conversion to safetensors.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(json.dumps([name, list(values.shape)]).encode())
        digest.update(values.numpy().astype("<f4", copy=False).tobytes())
    digest.update(json.dumps(_plain(config), sort_keys=True).encode())
    return digest.hexdigest()


def _plain(value: JSON) -> JSON:
    """`value` with one spelling per number (256.0 is 256) and per sequence (tuples are lists)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
