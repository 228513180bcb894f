"""What a file is, and the facts in it that a person wants to know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invert.checkpoints import fingerprint, read_checkpoint
from invert.errors import ModelFileError
from invert.files.file_kinds import FileKind, shown
from invert.files.leftovers import recover
from invert.files.regular_files import is_missing
from invert.latents.latent import Latent
from invert.recognition import Recognized, recognize


def describe(path: Path, *, allow_nonfinite: bool = False) -> dict[str, Any]:
    """Facts in reading order: `kind` first, what to do with the file (`use`) last.

    Raises :class:`ModelFileError` (`PATH: what; hint`) for an unknown or damaged file.
    """
    recover(path.parent)
    if is_missing(path):
        raise ModelFileError(f"{shown(path)}: no such file; expected the path of a file")
    found = recognize(path)

    if found is None or found.kind is FileKind.CHECKPOINT:
        kind, facts = FileKind.CHECKPOINT, describe_checkpoint(path, allow_nonfinite)
    elif found.kind is FileKind.LATENT:
        kind, facts = FileKind.LATENT, describe_latent(Latent.load(path))
    else:
        kind, facts = found.kind, describe_other(found)
    facts.pop("kind", None)  # of the file's metadata, which may call its keys anything
    return {"kind": kind.phrase, **facts, "use": kind.use(path)}


def describe_latent(latent: Latent) -> dict[str, Any]:
    """The space, the shape of every part that the point has, and what travels with it."""
    # Maps have a shape each.
    shapes: dict[str, Any] = {}
    for name, part in latent.parts().items():
        if isinstance(part, tuple):
            shapes[name] = [list(t.shape) for t in part]
        else:
            shapes[name] = list(part.shape)

    return {
        "space": str(latent.space),
        "points": len(latent),
        **shapes,
        "generator": str(latent.metadata.get("generator", "")),
        "fingerprint": latent.fingerprint,
        "values": sum(t.numel() for t in latent.tensors()),
        **{k: v for k, v in latent.metadata.items() if k != "generator"},
    }


def describe_checkpoint(path: Path, allow_nonfinite: bool) -> dict[str, Any]:
    """Architecture, sizes and fingerprint of a generator, and further facts in its file."""
    from invert.loading import build_network

    checkpoint = read_checkpoint(path, allow_nonfinite=allow_nonfinite)
    network = build_network(checkpoint)
    return {
        "format": checkpoint.format,
        "architecture": checkpoint.architecture,
        "resolution": network.resolution,
        "width": network.image_size[1],
        "height": network.image_size[0],
        "layers": network.num_ws - network.first,
        **({"first_layer": network.first} if network.first > 1 else {}),
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


def describe_other(found: Recognized) -> dict[str, Any]:
    """Metadata, and the shapes of arrays by name; of networks only how many numbers they have."""
    facts = {k: v for k, v in found.metadata.items() if is_json(v)}
    if found.kind in (FileKind.ENCODER, FileKind.ATTRIBUTE_MODEL, FileKind.WEIGHTS):
        return {**facts, "parameters": sum(t.numel() for t in found.tensors.values())}
    shapes = {name or "array": list(array.shape) for name, array in found.tensors.items()}
    return {**facts, **shapes}


def is_json(value: Any) -> bool:
    """Whether a value can be written as JSON."""
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and is_json(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(is_json, value))
    return value is None or isinstance(value, (str, int, float, bool))
