"""Latent files, `.pt` (a dict of tensors and JSON-like values) and `.safetensors`; not trusted.

The format is described in docs/latent-files.md. Readers refuse a version they do not know.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from invert.arguments import plain
from invert.checkpoints import current
from invert.checkpoints.file_format import FileFormat
from invert.checkpoints.nodes import quoted
from invert.checkpoints.safe_safetensors import load_safetensors, save_safetensors
from invert.checkpoints.safe_torch import load_tensors_from
from invert.checkpoints.source import Kind, naming, read_file, sniff
from invert.errors import LatentError, ModelFileError, NotALatentError, SpaceError, UsageError
from invert.files.atomic_files import write_atomically
from invert.files.file_kinds import FileKind
from invert.files.leftovers import recover
from invert.files.regular_files import is_missing
from invert.latents.companion import Companion
from invert.latents.network_files import with_relative_path
from invert.latents.spaces import COMPANION_PARTS, PARTS, Space
from invert.recognition import expecting

if TYPE_CHECKING:
    from invert.latents.latent import Latent, Styles

FORMAT = FileFormat(
    "latent", key="format", name="invert-latent", hint="`invert info` tells what it is"
)
SUFFIXES = (".pt", ".safetensors")
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
FINGERPRINT = re.compile(r"[\w.-]{0,128}", re.ASCII)
METADATA_TYPES = {
    "generator": str,
    "image": dict,
    "projection": dict,
    "network": dict,
    "made_by": str,
    "edits": list,
}
MAX_METADATA_VALUES = 100_000  # values in the metadata, however nested
MAX_INTEGER = 2**64


def check_suffix(path: Path) -> None:
    """Raise :class:`UsageError` unless the name says that the file is a latent's."""
    if path.suffix.lower() not in SUFFIXES:
        wanted = "a latent file named *.pt or *.safetensors"
        raise UsageError(f"{path}: expected {wanted}, got {path.name!r}")


def write_latent(latent: Latent, path: Path) -> None:
    """Write `latent` in the container that the suffix says: old file or new, never a torn one."""
    check_suffix(path)
    data = encode_latent(latent, path)
    write_atomically(path, lambda f: f.write(data))


def encode_latent(latent: Latent, path: Path) -> bytes:
    """The bytes of the latent file at `path`: of the container that its suffix says.

    Raises :class:`LatentError` for what :func:`read_latent` would refuse: values that are not
    finite, metadata that are no JSON or not of their types.
    """
    metadata = with_relative_path(latent.metadata, path.parent)
    try:
        metadata = json.loads(json.dumps(plain(metadata)))
    except (TypeError, ValueError, RecursionError) as error:
        raise LatentError(f"{path}: not written: its metadata are not JSON ({error})") from error
    header = {
        **FORMAT.marks,
        "space": str(latent.space),
        "fingerprint": latent.fingerprint,
        "metadata": metadata,
    }
    # clone: a view would drag its whole storage along, and safetensors refuses two tensors in one
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in flatten(latent).items()}
    try:
        fields_of(header, tensors)
        if path.suffix.lower() == ".safetensors":
            return save_safetensors(header, tensors)
    except (UsageError, ModelFileError) as error:
        raise LatentError(f"{path}: not written: {error}") from error

    encoded = io.BytesIO()
    torch.save(header | {"tensors": tensors}, encoded)
    return encoded.getvalue()


def read_latent(path: Path) -> dict[str, Any]:
    """The fields of the latent in `path`, whose content tells the container.

    Raises :class:`ModelFileError`: `PATH: what is wrong; what to do`.
    """
    recover(path.parent)
    if is_missing(path):
        raise ModelFileError(f"{path}: no such latent file; `invert project` writes one")
    with expecting(FileKind.LATENT, path, "not a latent of invert"):
        header, tensors = read_container(path)
    try:
        return fields_of(header, tensors)
    except (LatentError, SpaceError, ModelFileError) as error:
        raise ModelFileError(f"{path}: {error}") from error


def read_container(path: Path) -> tuple[Mapping[str, Any], Any]:
    """The header and the tensors of a latent file, unchecked. Raises :class:`ModelFileError`."""
    header: Any
    tensors: Any
    with naming(path):
        data = read_file(path)
        kind = sniff(data)

        # A safetensors file has the header in its JSON, a `.pt` file beside the tensors.
        if kind is Kind.SAFETENSORS:
            header, tensors = load_safetensors(data)
        elif kind in (Kind.TORCH_ZIP, Kind.TORCH_STREAM):
            header = load_tensors_from(data, kind)
            tensors = header.get("tensors") if isinstance(header, dict) else None
        else:
            raise ModelFileError(f"expected a latent, got {kind.value}; `invert info` tells more")

    if not FORMAT.matches(header):
        raise NotALatentError(f"{path}: {FORMAT.refusal(header)}")
    return header, tensors


def fields_of(header: Mapping[str, Any], tensors: Any) -> dict[str, Any]:
    """The fields of the latent that a header and tensors describe; neither of them is trusted."""
    FORMAT.check_version(header)
    name = header.get("space")
    if not isinstance(name, str):
        raise ModelFileError(f"expected the name of a space as text, got {type(name).__name__}")
    space = Space.parse(name)

    # Metadata and fingerprint.
    metadata, fingerprint = header.get("metadata", {}), header.get("fingerprint")
    if not isinstance(fingerprint, str) or not FINGERPRINT.fullmatch(fingerprint):
        raise ModelFileError("the generator's fingerprint is missing, or is no fingerprint")
    check_metadata(metadata)

    # Tensors, under the names of parts.
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise ModelFileError("expected a dict of tensors under 'tensors'")
    for k, t in tensors.items():
        if not isinstance(k, str):
            raise ModelFileError(f"expected names of tensors as text, got {type(k).__name__}")
        if t.dtype not in DTYPES or not bool(t.isfinite().all()):
            raise ModelFileError(f"tensor '{quoted(k)}' is not finite floating point")
    parts = parts_of({k: t.detach().contiguous() for k, t in tensors.items()})

    # The last layer makes the image and has no noise map: a point that starts there has none.
    if space.noise:
        parts.setdefault("noise", ())
        check_noise_count(space, parts["styles"], len(parts["noise"]))
    return {"space": space, "fingerprint": current(fingerprint), "metadata": metadata, **parts}


def check_noise_count(space: Space, styles: Styles, maps: int) -> None:
    """Raise :class:`ModelFileError` unless there is a map per style but the last one's.

    Where one style serves all layers, only the generator knows how many those are. It also knows
    where it starts: without F_i, the layers before that have styles, and no noise.
    """
    if isinstance(styles, tuple):
        layers = len(styles)
    elif styles.ndim == 3:
        layers = styles.shape[1]
    else:
        return
    enough = maps == layers - 1 or (space.layer is None and 0 < maps < layers)
    if not enough:
        wanted = f"{layers - 1} noise maps, one less than its styles"
        raise ModelFileError(f"{space} needs {wanted}, got {maps}")


def parts_of(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The parts of a latent from tensors named `part`, or `part.0`, `part.1`, …"""
    parts: dict[str, Any] = {}
    left = set(tensors)
    for name in PARTS:
        # A part of several tensors is numbered from 0, without gaps.
        count = sum(k.startswith(f"{name}.") for k in tensors)
        several = [f"{name}.{k}" for k in range(count)]
        missing = [k for k in several if k not in tensors]
        if missing:
            raise ModelFileError(f"tensor '{missing[0]}' is missing")

        # One tensor, or several.
        if several and name in tensors:
            raise ModelFileError(f"the file has both '{name}' and '{name}.0', one too many")
        if several:
            parts[name] = tuple(tensors[k] for k in several)
        elif name in tensors:
            parts[name] = tensors[name]
        left -= {name, *several}

    if left:
        raise ModelFileError(f"unexpected tensor '{quoted(min(left))}'")
    if "styles" not in parts:
        raise ModelFileError("styles are missing")
    return with_companion(parts)


def with_companion(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts with those of the companion put together. Raises :class:`LatentError`."""
    point = {name: part for name, part in parts.items() if name not in COMPANION_PARTS}
    styles, windows, origin = map(parts.get, COMPANION_PARTS)
    if styles is not None:
        return point | {"companion": Companion(styles, windows, origin)}
    if windows is not None:
        raise LatentError("places say where companions are, and there is none")
    if origin is not None:
        raise LatentError("an origin is where edits of a companion began, and there is none")
    return point


def check_metadata(metadata: object) -> None:
    """Raise :class:`ModelFileError` unless it is a JSON object with known fields of their types."""
    if not isinstance(metadata, dict):
        raise ModelFileError(f"expected an object as metadata, got {type(metadata).__name__}")

    # No recursion: a file can nest as deep as it likes, and in itself.
    waiting: list[object] = [metadata]
    for _ in range(MAX_METADATA_VALUES):
        if not waiting:
            break
        value = waiting.pop()
        if type(value) is dict and all(type(k) is str for k in value):
            waiting += value.values()
        elif type(value) is list:
            waiting += value
        elif type(value) is int:
            if abs(value) >= MAX_INTEGER:
                raise ModelFileError("metadata holds a number of more than 64 bits")
        elif value is not None and type(value) not in (str, bool, float):
            raise ModelFileError(f"metadata is no JSON: it holds a {type(value).__name__}")
    if waiting:
        raise ModelFileError(
            f"metadata of more than {MAX_METADATA_VALUES} values; no latent has so many"
        )

    # What other code relies on.
    for name, kind in METADATA_TYPES.items():
        if name in metadata and not isinstance(metadata[name], kind):
            came = type(metadata[name]).__name__
            raise ModelFileError(f"expected a {kind.__name__} as {name!r} in metadata, got {came}")


def flatten(latent: Latent) -> dict[str, Tensor]:
    """{"styles": …} or {"styles.0": …, "styles.1": …}, and so on for every part."""
    out: dict[str, Tensor] = {}
    for name, part in latent.parts().items():
        if isinstance(part, tuple):
            out |= {f"{name}.{k}": t for k, t in enumerate(part)}
        else:
            out[name] = part
    return out
