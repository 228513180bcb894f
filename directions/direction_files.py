"""Direction files: safetensors with one tensor `vectors` and one JSON metadata key `invert`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from directions.direction import Direction
from invert.checkpoints.source import naming, read_file
from invert.errors import ModelFileError, UsageError
from invert.files.atomic_files import write_atomically
from invert.files.file_kinds import FileKind
from invert.recognition import expecting

FORMAT, VERSION = "invert-direction", 1
MAX_BYTES = 16 << 20  # 18 layers of 512 floats are 37 kB


def save_direction(
    direction: Direction, path: Path, record: Mapping[str, Any] | None = None
) -> None:
    """Write `direction` to `path`: old file or new file, never torn. Raises :class:`UsageError` for
    the suffix.

    A `record` says what it was made from (:mod:`invert.provenance`).
    """
    from safetensors.torch import save

    if path.suffix != ".safetensors":
        raise UsageError(
            f"{path}: directions are written as .safetensors; give the file that suffix"
        )
    header = {
        "format": FORMAT,
        "version": VERSION,
        "name": direction.name,
        "step": direction.step,
        "meaning": direction.meaning,
        "w_space": direction.w_space,
        "layers": list(direction.layers) if direction.layers else None,
        "source": dict(direction.source),
        "measured": dict(direction.measured),
        **(record or {}),
    }
    data = save(
        {"vectors": direction.vectors.detach().cpu().float().contiguous()},
        {"invert": json.dumps(header, sort_keys=True, allow_nan=False)},
    )
    write_atomically(path, lambda f: f.write(data))


def load_direction(path: Path) -> Direction:
    """The direction in `path`. Raises :class:`ModelFileError`: `PATH: what is wrong; what to do`."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    with expecting(FileKind.DIRECTION, path, "not a direction of invert"), naming(path):
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise ModelFileError(
                f"{path.stat().st_size} bytes, a direction has at most {MAX_BYTES}; check the path"
            )
        data = read_file(path)
        try:
            header = read_header(data)
            tensors = load(data)
        except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelFileError(
                f"not a direction of invert ({type(error).__name__}); `invert directions import` reads other kinds"
            ) from None
        try:
            return build(header, tensors)
        except UsageError as error:
            raise ModelFileError(f"{error}; the file is damaged, make it again") from error


def read_header(data: bytes) -> dict[str, Any]:
    """The JSON under the key `invert`; safetensors keeps metadata in the JSON header after eight
    bytes of length.
    """
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["invert"])
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("another format")
    return header


def build(header: dict[str, Any], tensors: dict[str, Tensor]) -> Direction:
    if header.get("version") != VERSION:
        raise ModelFileError(
            f"direction format {header.get('version')!r}, expected {VERSION}; update invert"
        )
    if set(tensors) != {"vectors"}:
        raise ModelFileError(
            f"expected one tensor 'vectors', found {sorted(tensors)[:5]}; the file is damaged"
        )
    texts = [header.get(k) for k in ("name", "meaning", "w_space")]
    layers, step = header.get("layers"), header.get("step")
    source, measured = header.get("source"), header.get("measured")
    well_formed = (
        all(isinstance(t, str) for t in texts)
        and isinstance(step, (int, float))
        and isinstance(source, dict)
        and isinstance(measured, dict)
        and (
            layers is None or (isinstance(layers, list) and [type(k) for k in layers] == [int, int])
        )
    )
    if not well_formed:
        raise ModelFileError(
            "a field is missing or of the wrong type; the file is damaged, make it again"
        )
    name, meaning, w_space = (str(t) for t in texts)
    vectors = tensors["vectors"]
    return Direction(
        name,
        vectors.float() if vectors.is_floating_point() else vectors,
        float(step or 0),
        meaning,
        w_space,
        (layers[0], layers[1]) if layers else None,
        source or {},
        measured or {},
    )
