"""Attribute model files: safetensors with tensors `basis`, `kernel`, `offset` and one JSON metadata
key `invert`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from edits.attributes.flow import LinearFlow
from edits.attributes.model import AttributeModel
from invert.checkpoints import JSON, current
from invert.checkpoints.file_format import FileFormat
from invert.checkpoints.source import naming
from invert.errors import FingerprintError, ModelFileError, UsageError
from invert.files.file_kinds import FileKind
from invert.generator import Generator
from invert.hardware.modes import default_modes
from invert.latents.layer_ranges import styles_inside
from invert.latents.spaces import Space
from invert.recognition import expecting

FORMAT = FileFormat(
    "attribute model",
    key="architecture",
    name="attribute-model",
    hint="train one with `invert train attribute`",
    max_bytes=256 << 20,  # 1024 channels of 3×3 in float64 are 75 MB
)
TENSORS = ("basis", "kernel", "offset")


def save_attribute_model(
    model: AttributeModel, path: str | Path, record: Mapping[str, Any] | None = None
) -> None:
    """Write `model` in the precision it has: old file or new file, never torn. Raises
    :class:`UsageError`.

    A `record` says what it was made from (:mod:`invert.files.provenance`).
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise UsageError(
            f"{path}: attribute models are written as .safetensors; give the file that suffix"
        )

    fields = {
        "direction": model.direction,
        "layer": model.layer,
        "fingerprint": model.fingerprint,
        "rgb_scale": model.flow.rgb_scale,
        "limit": model.limit,
        "training": dict(model.training),
        **(record or {}),
    }
    tensors = {"basis": model.flow.basis, "kernel": model.flow.kernel, "offset": model.offset}
    FORMAT.write(path, fields, tensors, allow_nan=False)


@default_modes()
def load_attribute_model(path: str | Path, generator: Generator | None = None) -> AttributeModel:
    """The model in `path`; with a generator only if it is that one's.

    Raises :class:`ModelFileError` (`PATH: what is wrong; what to do`), :class:`FingerprintError`
    for another generator.
    """
    path = Path(path)
    with expecting(FileKind.ATTRIBUTE_MODEL, path):
        metadata, tensors = FORMAT.read(path)
        with naming(path):
            try:
                model = build(metadata, tensors)
            except UsageError as error:
                raise ModelFileError(f"{error}; the file is damaged, train it again") from error

    if generator is not None:
        try:
            check_fits(model, generator)
        except FingerprintError as error:
            raise FingerprintError(f"{path}: {error}") from error
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from error
    return model


def build(metadata: Mapping[str, JSON], tensors: Mapping[str, Tensor]) -> AttributeModel:
    """The model of a file's metadata and tensors, neither of which is trusted."""
    # The tensors, by name; their shapes are checked by the classes that take them.
    if set(tensors) != set(TENSORS):
        raise ModelFileError(
            f"expected tensors {', '.join(TENSORS)}, found {sorted(tensors)[:5]}; train it again"
        )

    # The fields, by type.
    direction, layer = metadata.get("direction"), metadata.get("layer")
    fingerprint, training = metadata.get("fingerprint"), metadata.get("training")
    scale, limit = metadata.get("rgb_scale"), metadata.get("limit")
    if not (
        isinstance(direction, str)
        and isinstance(fingerprint, str)
        and type(layer) is int
        and isinstance(scale, (int, float))
        and isinstance(limit, (int, float))
        and isinstance(training, dict)
    ):
        raise ModelFileError(
            "a field is missing or of the wrong type; the file is damaged, train it again"
        )

    flow = LinearFlow(tensors["basis"], tensors["kernel"], float(scale))
    return AttributeModel(
        direction, layer, current(fingerprint), tensors["offset"], flow, float(limit), training
    )


def check_fits(model: AttributeModel, generator: Generator) -> None:
    """Raise :class:`FingerprintError` for another generator, :class:`ModelFileError` for sizes that
    are not its own.
    """
    model.check_generator(generator)
    if model.layer > generator.num_ws:
        raise ModelFileError(
            f"layer {model.layer}, this generator has {generator.num_ws}; the file is damaged"
        )
    layer = generator.layer(model.layer)
    inside = styles_inside(generator.network, Space("W+", model.layer))
    expected = (layer.channels, layer.rgb_size is not None, [inside, generator.w_dim])
    found = (model.flow.basis.shape[0], model.flow.has_rgb, list(model.offset.shape))
    if expected != found:
        raise ModelFileError(
            f"expected (channels, RGB, offset) {expected} at layer {model.layer}, got {found}; "
            "the file is damaged"
        )
