"""Digests of latents: equal digests mean that the same image is rendered, bit for bit."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from invert.latents.latent import Latent
from invert.latents.spaces import POINT_PARTS


def latent_digest(latent: Latent) -> str:
    """SHA-256 of all that is rendered: the generator, and the values in the precision they have.

    A style is the same as a vector and as a map of one cell.
    """
    space = latent.space
    digest = hashlib.sha256(f"{space.base} {space.layer} {latent.fingerprint}".encode())
    for name in POINT_PARTS:
        for tensor in rendered_tensors(latent, name):
            values = tensor.detach().cpu().contiguous()
            digest.update(f"\n{name} {list(values.shape)} {values.dtype}\n".encode())
            digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def rendered_tensors(latent: Latent, name: str) -> list[Tensor]:
    """The tensors of one part, styles one by one."""
    part = getattr(latent, name)
    if name == "styles" and latent.space.base == "W+":
        return [s.flatten(1) if s.shape[2:].numel() == 1 else s for s in latent.style_list()]
    return list(part) if isinstance(part, tuple) else [] if part is None else [part]


def picture_of(latent: Latent) -> dict[str, Any]:
    """The record of a plain picture of a latent."""
    return {"latent": latent_digest(latent)}
