"""Encoder files: safetensors with half-precision weights and JSON metadata, and the ones that come
with the package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import safe_open

from invert.checkpoints import current
from invert.checkpoints.file_format import FileFormat
from invert.encoders.encoder import Encoder, EncoderShape, shape_facts
from invert.errors import FingerprintError, ModelFileError
from invert.files.file_kinds import FileKind
from invert.generator import Generator
from invert.hardware.modes import default_modes
from invert.recognition import expecting

FORMAT = FileFormat(
    "encoder",
    key="architecture",
    name="encoder",
    hint="train one with `invert train encoder`",
    versions=(2, 3, 4),  # 2 knows no refinement, 3 another one, which never came with the package
    max_bytes=256 << 20,
)
BUNDLED = "encoders"  # folder of package invert.weights


def save_encoder(
    encoder: Encoder, path: Path, facts: Mapping[str, Any], record: Mapping[str, Any] | None = None
) -> None:
    """Write the file, atomically, weights as float16. `facts` say how it was made and measured.

    A `record` says what from (:mod:`invert.files.provenance`).
    """
    fields = {
        "fingerprint": encoder.fingerprint,
        "shape": shape_facts(encoder.shape),
        "facts": dict(facts),
        **(record or {}),
    }
    tensors = {
        name: t.detach().cpu().to(torch.float16 if t.is_floating_point() else t.dtype)
        for name, t in encoder.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    FORMAT.write(path, fields, tensors)


@default_modes()
def load_encoder(path: Path, generator: Generator) -> Encoder:
    """The encoder in a file, on the generator's device, in evaluation mode.

    Raises :class:`ModelFileError` for a file that holds none, :class:`FingerprintError` for another
    generator's.
    """
    with expecting(FileKind.ENCODER, path, f"expected an encoder of version {FORMAT.version}"):
        metadata, tensors = FORMAT.read(path)
    identity = current(str(metadata.get("fingerprint")))
    if identity != generator.fingerprint:
        raise FingerprintError(
            f"{path}: an encoder of another generator ({identity[:12]}), "
            f"expected one of {generator.name} "
            f"({generator.fingerprint[:12]}); train one with `invert train encoder`"
        )

    # The network that its shape describes, filled with its tensors.
    try:
        shape = EncoderShape(**metadata["shape"])
        if shape.passes and metadata["version"] == 3:
            raise ValueError("its refinement is of an older kind; train it again")
        if shape != EncoderShape.from_generator(generator, shape.layer, shape.trunk, shape.passes):
            raise ValueError("its shapes are not this generator's")

        encoder = Encoder(shape)
        state = encoder.state_dict()
        counters = {k: v for k, v in state.items() if k.endswith("num_batches_tracked")}
        encoder.load_state_dict({**{k: v.float() for k, v in tensors.items()}, **counters})
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ModelFileError(
            f"{path}: damaged encoder file ({str(error).splitlines()[0][:120]})"
        ) from error

    encoder.fingerprint = generator.fingerprint
    return encoder.to(generator.device, generator.dtype).eval().requires_grad_(False)


def bundled_encoder(generator: Generator, layer: int) -> Path | None:
    """The file of the encoder that comes with the package for a generator's layer; None where there
    is none.
    """
    return bundled_encoders().get((generator.fingerprint, layer))


def bundled_encoders() -> Mapping[tuple[str, int], Path]:
    """All encoder files that come with the package, as :func:`encoders_in` gives them."""
    return encoders_in(Path(str(resources.files("invert.weights"))) / BUNDLED)


@cache
def encoders_in(folder: Path) -> Mapping[tuple[str, int], Path]:
    """(generator fingerprint, layer) → file, of all encoder files in a folder, by their headers."""
    found: dict[tuple[str, int], Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads(file.metadata()["invert"])
        found[current(metadata["fingerprint"]), metadata["shape"]["layer"]] = path
    return MappingProxyType(found)
