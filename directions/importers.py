"""Directions of other projects: arrays of numpy and torch, and their layouts.

InterFaceGAN (arXiv:2005.09635) writes boundaries as `.npy`, GANSpace (arXiv:2004.02546) components
as `.npz`, and rosinality's SeFa (arXiv:2007.06600) factors as `.pt`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from directions.direction import Direction, unit
from directions.w_space import WSpace
from invert.checkpoints.safe_torch import load_tensors_from
from invert.checkpoints.source import Kind, naming, read_file, sniff
from invert.errors import ModelFileError, UsageError
from invert.files.file_kinds import FileKind
from invert.files.numpy_files import NPY_MAGIC, ZIP_MAGIC, NpzArchive, read_npy
from invert.latents.layer_ranges import StyleRange
from invert.recognition import expecting

MAX_BYTES = 256 << 20
# Styles of a 2048 px StyleGAN2; an array with more rows is a set of directions, not one per style.
# Fewer rows are compared with the generator's styles, where its number is known.
MAX_NUM_WS = 20
# Where known tools keep their directions: GANSpace those of W, then of activations, and its export
# by e4e.
ARRAY_KEYS = ("lat_comp", "act_comp", "comp")
MEAN_W, NETWORK_KEYS = "latent_avg", {"g_ema", "g", "state_dict"}  # of rosinality, pSp, e4e
COLUMN_KEY = "eigvec"  # of SeFa by rosinality; one direction per column
SET_KEYS = {*ARRAY_KEYS, COLUMN_KEY}  # what lies there is a set, whatever its number of rows
LATENT_HINT = (
    "points, not a direction; `invert import-latent` takes them, and directions are learned "
    "from several (`invert directions exemplars`)"
)


def import_direction(
    path: str | Path,
    *,
    name: str,
    space: WSpace,
    key: str | None = None,
    index: int | None = None,
    sign: int = 1,
    styles: StyleRange | None = None,
    meaning: str = "",
    num_ws: int | None = None,
) -> Direction:
    """The direction in a file of another project, scaled to unit norm, with its σ in `space`.

    - One direction: `.npy`, or `.pt` with one tensor, of shape [w_dim], [1, w_dim] (InterFaceGAN's
      boundaries too), [num_ws, w_dim] or [1, num_ws, w_dim].
    - A set, of which `index` chooses one: [n, w_dim], [n, 1, w_dim], [n, num_ws, w_dim]; GANSpace's
      `.npz` or `.pt`.
    - SeFa's factors, `.pt` {eigvec: [w_dim, n]}: `index` chooses a column.

    `num_ws` is the generator's number of styles, if it is known. An array of another number of rows
    needs `index`, or `styles` to say which styles of the generator its rows are for.

    `key` names the array where there are several; `sign` -1 reverses the direction. Equal rows
    become one vector. The file does not say in which W space it was made; `directions.diagnostics`
    compares. Raises :class:`ModelFileError` (`PATH: WHAT; HINT`) for a damaged or unsafe file, a
    latent or a wrong width, and :class:`UsageError` for arguments that do not fit.
    """
    if sign not in (1, -1):
        raise UsageError(f"sign is 1 or -1, got {sign}")

    # v / |v|, whatever its length in the file.
    path = Path(path)
    with expecting(FileKind.DIRECTIONS, path), naming(path):
        array, source_key = read_array(path, key)
        chosen = choose(array, index, space.w_dim, is_set=source_key in SET_KEYS)
        if num_ws is not None and styles is None:
            check_rows(chosen, num_ws, is_chosen=index is not None)
        try:
            vectors = unit(sign * chosen)
        except UsageError as error:
            raise ModelFileError(f"{error}; check the file") from error

    source = {
        "method": "import",
        "file": path.name,
        "key": source_key,
        "index": index,
        "sign": sign,
    }
    source = {k: v for k, v in source.items() if v is not None}
    return Direction(name, vectors, space.std_along(vectors), meaning, space.name, styles, source)


def read_array(path: Path, key: str | None) -> tuple[Tensor, str | None]:
    """One float array of a file, directions in rows, and the key it had."""
    if os.path.isfile(path) and (size := os.path.getsize(path)) > MAX_BYTES:
        raise ModelFileError(f"{size} bytes, the limit is {MAX_BYTES}; this is no direction")
    data = read_file(path)

    # numpy.
    if data.startswith(NPY_MAGIC):
        refuse_key(key)
        return to_tensor(read_npy(data)), None
    if data.startswith(ZIP_MAGIC) and (archive := npz(data)) is not None:
        if key is None and "w" in archive.names:
            raise ModelFileError(f"a projected latent (key 'w'): {LATENT_HINT}")
        chosen = choose_key(archive.names, key)
        return to_tensor(archive.read(chosen)), chosen

    # torch.
    kind = sniff(data)
    if kind is Kind.SAFETENSORS:
        raise ModelFileError(
            "a safetensors file; a direction of invert needs no import, give its path"
        )
    if kind is Kind.PICKLE:
        raise ModelFileError(
            "a bare pickle, which could run code when loaded; save the vector with numpy.save"
        )
    return from_torch(load_tensors_from(data, kind), key)


def npz(data: bytes) -> NpzArchive | None:
    """The archive, or None for the other kind of zip, torch.save's."""
    return None if b"data.pkl" in data[:4096] else NpzArchive(data)


def from_torch(content: object, key: str | None) -> tuple[Tensor, str | None]:
    """One tensor of what torch.save wrote, directions in rows, and the key it had."""
    if isinstance(content, Tensor):
        refuse_key(key)
        return floats(content), None
    if not isinstance(content, Mapping) or not content:
        raise ModelFileError(
            f"expected a tensor or a dict of tensors, found {type(content).__name__}"
        )

    # Latents are no directions: ours, and those of rosinality's projector.
    if content.get("format") == "invert-latent" or any(
        isinstance(v, Mapping) and "latent" in v for v in content.values()
    ):
        raise ModelFileError(f"projected latents: {LATENT_HINT}")

    # Nor is the mean w of a generator.
    if key is None and set(content) >= {MEAN_W} and set(content) & NETWORK_KEYS:
        raise ModelFileError("a network's file; `invert directions sefa` finds directions in it")

    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if key is None and COLUMN_KEY in tensors:
        key = COLUMN_KEY
    chosen = choose_key(list(tensors), key)
    tensor = floats(tensors[chosen])
    return (tensor.T if chosen == COLUMN_KEY and tensor.ndim == 2 else tensor), chosen


def choose_key(names: list[str], key: str | None) -> str:
    """The array that holds directions: `key`, one of the known keys, or the only one there is."""
    known = [k for k in ARRAY_KEYS if k in names]
    chosen = key or (known[0] if known else names[0] if len(names) == 1 else None)
    if chosen is None or chosen not in names:
        problem = (
            f"no array {key!r}" if key else "several arrays, none that is known to be a direction"
        )
        raise ModelFileError(f"{problem}; choose a key: {', '.join(names[:8]) or 'there is none'}")
    return chosen


def refuse_key(key: str | None) -> None:
    """Raise :class:`UsageError` where a key is given to a file of one array without a name."""
    if key is not None:
        raise UsageError(f"the file holds one array without a name, key {key!r} does not apply")


def to_tensor(array: np.ndarray) -> Tensor:
    """The array in float64, little-endian."""
    return torch.from_numpy(array.astype("<f8"))


def floats(tensor: Tensor) -> Tensor:
    """The tensor in float64; raises :class:`ModelFileError` unless it has floats."""
    if not tensor.is_floating_point():
        raise ModelFileError(
            f"a tensor of {str(tensor.dtype).removeprefix('torch.')}, expected floats"
        )
    return tensor.detach().double()


def choose(array: Tensor, index: int | None, w_dim: int, *, is_set: bool = False) -> Tensor:
    """[w_dim] or [num_ws, w_dim] from an array that may hold several directions.

    `is_set` says that each row of [n, w_dim] is a direction, however few they are.
    """
    shape = list(array.shape)
    if not 1 <= len(shape) <= 3 or shape[-1] != w_dim:
        raise ModelFileError(f"an array {shape}, expected a direction of width w_dim {w_dim}")
    if 0 in shape:
        raise ModelFileError(f"an empty array {shape}")

    # One of a set, or the only one.
    if index is not None:
        count = 1 if len(shape) == 1 else shape[0]
        if len(shape) == 1 or not 0 <= index < count:
            raise UsageError(f"index is {index}, the file holds {count}: expected 0 to {count - 1}")
        array = array[index]
    else:
        refuse_set(shape, 1 if is_set else MAX_NUM_WS)
        array = array[0] if len(shape) == 3 else array

    # Equal rows are one vector.
    if array.ndim == 2 and (len(array) == 1 or bool((array == array[0]).all())):
        array = array[0]
    return array


def check_rows(vectors: Tensor, num_ws: int, *, is_chosen: bool) -> None:
    """Raise :class:`ModelFileError` unless a W+ direction has a row for each of `num_ws` styles.

    `is_chosen` says that it is one of a set already.
    """
    if vectors.ndim == 2 and len(vectors) != num_ws:
        choice = "" if is_chosen else "choose one of a set with --index, or "
        raise ModelFileError(
            f"{len(vectors)} rows, the generator has {num_ws} styles; "
            f"{choice}give --styles if there is one row per style"
        )


def refuse_set(shape: list[int], max_rows: int) -> None:
    """Raise :class:`ModelFileError` where an array of this shape holds several directions.

    [n, w_dim] of up to `max_rows` rows is one direction with a row per style.
    """
    if len(shape) == 3 and shape[0] > 1 and shape[1] > 1:
        raise ModelFileError(
            f"an array {shape}: a set of latents is {LATENT_HINT}; "
            "of a set of directions choose one by index"
        )
    if (len(shape) == 3 and shape[0] > 1) or (len(shape) == 2 and shape[0] > max_rows):
        raise ModelFileError(f"a set of {shape[0]} directions; choose one by index")
