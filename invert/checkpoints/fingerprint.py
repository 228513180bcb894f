"""The identity of a network: what ties a latent to the generator it was made with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from invert.checkpoints.checkpoint import JSON

# `ffhq-mobile` had a mean style whose last bit depended on the processor that converted it. What
# was made with it on the kinds of processors that we know still belongs to it.
FFHQ_MOBILE = "aa7772b4bcc918b4737ffb651843e4986f4487f7e3058a7cee80ba4f10f31046"
EARLIER = dict.fromkeys(
    (
        "820261a0b061a802656565bc7c280c91ee55ab4e589442e36c40cfe7a55364f2",
        "26282741581e1a3b7ad38e231d428c1e35b5eb2f3a8841b3b5afd9c3e532a7fb",
        "315d652457cba5498f26c71d56121c4e1a176faf6ee20ffbf31d6777d8f2278a",
        "5632ca7e4317785600b2776114c81b73975d43000ba79a8f83a33ff72ec59029",
        "5e19bf255b017d1f23f2e443aaa7e03b24af564babd4bf291ffe39127d45c336",
        "90e9a672ecf040112f913bfe846f4380d97e0a2ad61fe619594baa8d25d7f966",
    ),
    FFHQ_MOBILE,
)


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
    return current(digest.hexdigest())


def current(identity: str) -> str:
    """The fingerprint that a network has today, where files may have an earlier one of it."""
    return EARLIER.get(identity, identity)


def _plain(value: JSON) -> JSON:
    """`value` with one spelling per number (256.0 is 256) and per sequence (tuples are lists)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
