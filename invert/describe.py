"""What a file is: a latent, or a checkpoint of some format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from invert.checkpoints import fingerprint, read_checkpoint
from invert.errors import ModelFileError, NotALatentError
from invert.latents import Latent


def describe(path: Path, *, allow_nonfinite: bool = False) -> dict[str, Any]:
    """Facts for a person, in reading order. Raises :class:`ModelFileError` when the file is neither kind."""
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file; expected a latent or a checkpoint")
    if may_hold_a_latent(path):
        try:
            return describe_latent(Latent.load(path))
        except NotALatentError:
            pass  # then it should be a checkpoint
    return describe_checkpoint(path, allow_nonfinite)


def may_hold_a_latent(path: Path) -> bool:
    """Whether the container is one that latents come in: safetensors, or torch's zip."""
    with open(path, "rb") as f:
        return path.suffix == ".safetensors" or f.read(2) == b"PK"


def describe_latent(latent: Latent) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for name in ("styles", "features", "rgb", "noise", "label"):
        part = getattr(latent, name)
        if part is not None:
            shapes = [list(t.shape) for t in part] if isinstance(part, tuple) else list(part.shape)
            parts[name] = shapes
    return {
        "kind": "latent",
        "space": str(latent.space),
        "points": len(latent),
        **parts,
        "generator": str(latent.metadata.get("generator", "")),
        "fingerprint": latent.fingerprint,
        "values": sum(t.numel() for t in latent.tensors()),
        **{k: v for k, v in latent.metadata.items() if k != "generator"},
    }


def describe_checkpoint(path: Path, allow_nonfinite: bool) -> dict[str, Any]:
    from invert.generator import build_network

    checkpoint = read_checkpoint(path, allow_nonfinite=allow_nonfinite)
    network = build_network(checkpoint)
    return {
        "kind": "checkpoint",
        "format": checkpoint.format,
        "architecture": checkpoint.architecture,
        "resolution": network.resolution,
        "layers": network.num_ws - 1,
        "num_ws": network.num_ws,
        "z_dim": network.mapping.z_dim,
        "w_dim": network.mapping.w_dim,
        "c_dim": network.mapping.c_dim,
        "mapping_layers": network.mapping.num_layers,
        "parameters": sum(t.numel() for t in checkpoint.tensors.values()),
        "fingerprint": fingerprint(checkpoint.tensors, checkpoint.config),
        **dict(checkpoint.config),
        **dict(checkpoint.details),
    }
