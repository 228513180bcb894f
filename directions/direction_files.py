"""Direction files: safetensors with one tensor `vectors` and one JSON metadata key `invert`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from directions.direction import Direction
from invert.checkpoints.file_format import FileFormat
from invert.checkpoints.source import naming
from invert.errors import ModelFileError, UsageError
from invert.files.file_kinds import FileKind
from invert.recognition import expecting

FORMAT = FileFormat(
    "direction",
    key="format",
    name="invert-direction",
    hint="`invert directions import` reads other kinds",
    max_bytes=16 << 20,  # 18 rows of 512 floats are 37 kB
)


def save_direction(
    direction: Direction, path: str | Path, record: Mapping[str, Any] | None = None
) -> None:
    """Write a direction to a `.safetensors` file: the old file or the new one, never half of it.

    A `record` says what it was made from (:mod:`invert.files.provenance`). Raises
    :class:`UsageError` for another suffix.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise UsageError(
            f"{path}: directions are written as .safetensors; give the file that suffix"
        )

    # The keys of version 1: "step" is σ, "layers" is the range of styles.
    fields = {
        "name": direction.name,
        "step": direction.sigma,
        "meaning": direction.meaning,
        "w_space": direction.w_space,
        "layers": list(direction.styles) if direction.styles else None,
        "source": dict(direction.source),
        "measured": dict(direction.measured),
        **(record or {}),
    }
    vectors = direction.vectors.detach().float()
    FORMAT.write(path, fields, {"vectors": vectors}, allow_nan=False)


def load_direction(path: str | Path) -> Direction:
    """The direction in a file, which is not trusted.

    Raises :class:`ModelFileError`: `PATH: what is wrong; what to do`.
    """
    path = Path(path)
    with expecting(FileKind.DIRECTION, path, "not a direction of invert"):
        header, tensors = FORMAT.read(path)
        with naming(path):
            try:
                return build(header, tensors)
            except UsageError as error:
                raise ModelFileError(f"{error}; the file is damaged, make it again") from error


def build(header: dict[str, Any], tensors: dict[str, Tensor]) -> Direction:
    """The direction of a file's metadata and tensors, neither of which is trusted."""
    if set(tensors) != {"vectors"}:
        raise ModelFileError(
            f"expected one tensor 'vectors', found {sorted(tensors)[:5]}; the file is damaged"
        )

    # The keys of version 1: "step" is σ, "layers" is the range of styles.
    texts = [header.get(k) for k in ("name", "meaning", "w_space")]
    sigma, styles = header.get("step"), header.get("layers")
    source, measured = header.get("source"), header.get("measured")
    is_range = isinstance(styles, list) and [type(k) for k in styles] == [int, int]
    well_formed = (
        all(isinstance(t, str) for t in texts)
        and isinstance(sigma, (int, float))
        and isinstance(source, dict)
        and isinstance(measured, dict)
        and (styles is None or is_range)
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
        float(sigma or 0),
        meaning,
        w_space,
        (styles[0], styles[1]) if styles else None,
        source or {},
        measured or {},
    )
