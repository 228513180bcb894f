"""One function for every checkpoint file; which one it is, is decided by content, never by name.

Two stages that know nothing of each other: :mod:`container` turns a file into nodes, :mod:`layout`
finds the generator among them. Then one module per naming makes it canonical.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping

from invert.checkpoints import ours, rosinality, stylegan2_ada, stylegan2_tf
from invert.checkpoints.checkpoint import Checkpoint, check
from invert.checkpoints.container import Container, open_container
from invert.checkpoints.layout import ADA, MOBILE, ROSINALITY, TENSORFLOW, Found, find_generator
from invert.checkpoints.nodes import quoted
from invert.checkpoints.noise_maps import with_noise_maps
from invert.checkpoints.safe_safetensors import is_foreign
from invert.checkpoints.source import Kind, naming, read_file, sniff
from invert.errors import ModelFileError, ModelFileWarning

_READERS: Mapping[str, Callable[[Container, Found], Checkpoint]] = {
    ADA: stylegan2_ada.read,
    ROSINALITY: rosinality.read,
    TENSORFLOW: stylegan2_tf.read,
    MOBILE: ours.read_state_dict,
}


def read_checkpoint(
    path: str | os.PathLike[str],
    *,
    allow_nonfinite: bool = False,
    config: Mapping[str, float] | None = None,
) -> Checkpoint:
    """The generator in a file of any supported format; nothing in the file is imported, called or
    executed.

    `config` gives what the file does not say, `conv_clamp` or `mapping_lr_multiplier`.

    Raises ModelFileError (`PATH: what; hint`) for a damaged, hostile, foreign or unsupported file,
    for weights with NaN or infinity unless `allow_nonfinite`, and where the file itself says what
    `config` gives. Warns (ModelFileWarning) of each of the checkpoint's `doubts`.
    """
    with naming(path):
        checkpoint = _completed(_read(read_file(path)), config or {})
        check(checkpoint, allow_nonfinite=allow_nonfinite)

    for doubt in checkpoint.doubts.values():
        warnings.warn(f"{os.fspath(path)}: {doubt}", ModelFileWarning, stacklevel=2)
    return checkpoint


def _completed(checkpoint: Checkpoint, config: Mapping[str, float]) -> Checkpoint:
    """`checkpoint` with these values in place of what was assumed."""
    if not config:
        return checkpoint

    # A value can replace an assumption, and nothing that the file itself says.
    assumed, doubts = dict(checkpoint.details.get("assumed", {})), dict(checkpoint.doubts)
    for name, value in config.items():
        if name not in assumed or checkpoint.format == ours.FORMAT:
            stated = checkpoint.config.get(name)
            known = "none" if stated is None else stated
            raise ModelFileError(
                f"the file itself says {name} {known}; leave the option out, it got {value}"
            )
        assumed[name] = f"{value}, as it was given"
        doubts.pop(name, None)

    details = {**checkpoint.details, "assumed": assumed}
    return dataclasses.replace(
        checkpoint, config={**checkpoint.config, **config}, details=details, doubts=doubts
    )


def _read(data: bytes) -> Checkpoint:
    """The checkpoint in a file's bytes, as the file says it."""
    kind = sniff(data)
    if kind is Kind.SAFETENSORS and not is_foreign(data):
        return ours.read(data)

    # A file of others: open it, find the generator, make its names canonical.
    container = open_container(data, kind)
    found = find_generator(container)
    checkpoint = with_noise_maps(_READERS[found.naming](container, found))

    # Where it was found.
    place = ".".join(part for part in (found.place.path, found.prefix.rstrip(".")) if part)
    details = {
        "container": kind.value,
        "found_at": quoted(place) or "the top",
        **checkpoint.details,
    }
    return dataclasses.replace(checkpoint, details=details)
