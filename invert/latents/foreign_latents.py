"""Latents in files of other projects: read as points of W, W+ or NW+, written as arrays of w.

NVIDIA's projectors write `projected_w.npz` {w: [1, num_ws, w_dim]}, e4e `latents.pt` [N, num_ws,
w_dim], PTI one `.pt` [1, num_ws, w_dim], rosinality's projector {picture: {latent, noise, img}};
others `.npy` of any of these shapes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from invert.checkpoints.nodes import quoted
from invert.checkpoints.source import naming
from invert.errors import ModelFileError, SpaceError, UsageError
from invert.files.file_kinds import FileKind
from invert.latents.latent import Latent
from invert.recognition import POINT_KEYS, Recognized, expecting, recognize

if TYPE_CHECKING:
    from invert.generator import Generator

Format = Literal["projected-w", "npy", "e4e", "pti"]
ENDINGS: Mapping[str, str] = {
    "projected-w": ".projected_w.npz",
    "npy": ".npy",
    "e4e": ".latents.pt",
    "pti": ".pti.pt",
}


@dataclass(frozen=True, eq=False)
class ForeignPoint:
    """One point of a foreign file.

    name   of the picture it was made from, where the file says so
    ws     [w_dim], or [num_ws, w_dim] with a row per layer
    noise  maps [1, 1, H, W], one per convolution layer from the first on; None without
    """

    name: str
    ws: Tensor
    noise: tuple[Tensor, ...] | None = None


def read_points(
    path: Path, *, key: str | None = None, rows_are_points: bool = False
) -> list[ForeignPoint]:
    """All points in a file of another project.

    Arrays are [w_dim], [1, w_dim], [num_ws, w_dim], [1, num_ws, w_dim] or [N, num_ws, w_dim], and
    [n, w_dim] is n points with `rows_are_points`. `key` names the array where there are several.
    Raises :class:`ModelFileError` (`PATH: what; hint`) for other files, for values that are not
    finite, and for `key` and `rows_are_points` where they say nothing about the file.
    """
    with expecting(FileKind.POINTS, path, "expected a latent of another project"):
        found = recognize(path)
        if found is None or found.kind not in (FileKind.POINTS, FileKind.VECTORS):
            raise ModelFileError(
                f"{path}: no latent of another project; expected .npy, .npz or .pt with arrays of w"
            )

    with naming(path):
        noise = found.metadata.get("noise")
        if isinstance(noise, Mapping):  # of rosinality's projector: a point for each picture
            if key is not None or rows_are_points:
                option = "--rows-are-points" if key is None else "--key"
                raise ModelFileError(
                    "a file of rosinality's projector, which has a latent for each picture; "
                    f"leave out {option}, --index chooses one"
                )
            return [
                ForeignPoint(name, layered(name, floats(name, array)), noise_maps(noise.get(name)))
                for name, array in found.tensors.items()
            ]

        points = []
        for name in chosen_keys(found, key):
            array = floats(name, found.tensors[name])
            points += [ForeignPoint("", ws) for ws in split(array, rows_are_points)]
        return points


def chosen_keys(found: Recognized, key: str | None) -> list[str]:
    """The names of the arrays that hold w.

    That is `key` if given, else the array that is named as w usually is, the only array, or all
    arrays of a list.
    """
    names = list(found.tensors)
    if key is not None:
        if key not in names:
            raise ModelFileError(f"no array {quoted(key)}; choose a key: {listed(names)}")
        return [key]
    known = [name for name in names if name in POINT_KEYS]
    if known:
        return known[:1]
    if len(names) == 1 or names == [str(k) for k in range(len(names))]:  # a list of tensors
        return names
    raise ModelFileError(f"several arrays, none with a known name; choose a key: {listed(names)}")


def listed(names: Sequence[str]) -> str:
    """The first names, quoted, for a message."""
    return ", ".join(quoted(name) for name in names[:8])


def floats(name: str, array: Any) -> Tensor:
    """A float32 tensor of finite values."""
    tensor = array if isinstance(array, Tensor) else torch.from_numpy(np.ascontiguousarray(array))
    what = f"array {quoted(name)}" if name else "the array"
    if not tensor.is_floating_point():
        raise ModelFileError(
            f"{what} is {str(tensor.dtype).removeprefix('torch.')}, expected floats"
        )
    tensor = tensor.detach().float()
    if not tensor.numel() or not bool(tensor.isfinite().all()):
        raise ModelFileError(f"{what} is empty or holds NaN or infinity; project the picture again")
    return tensor


def split(array: Tensor, rows_are_points: bool) -> list[Tensor]:
    """The points of an array, each [w_dim] or [num_ws, w_dim]."""
    shape = list(array.shape)
    while array.ndim > 3 and 1 in array.shape[:2]:
        array = array.squeeze(0 if array.shape[0] == 1 else 1)
    if array.ndim > 3:
        raise ModelFileError(
            f"an array {shape}, expected [w_dim], [num_ws, w_dim] or [N, num_ws, w_dim]; "
            "save one of those"
        )
    if array.ndim == 2 and rows_are_points:
        return list(array)
    if array.ndim < 3:
        return [layered("", array)]
    if rows_are_points:
        raise ModelFileError(
            f"an array {shape} has a w for each layer; --rows-are-points reads [n, w_dim], "
            "leave it out"
        )
    return [layered("", ws) for ws in array]


def layered(name: str, ws: Tensor) -> Tensor:
    """[w_dim] or [num_ws, w_dim] of one point; one row is the vector it holds."""
    if ws.ndim == 3 and len(ws) == 1:
        ws = ws[0]
    if ws.ndim not in (1, 2):
        raise ModelFileError(f"latent {quoted(name)} is {list(ws.shape)}, expected [num_ws, w_dim]")
    return ws[0] if ws.ndim == 2 and len(ws) == 1 else ws


def noise_maps(maps: Any) -> tuple[Tensor, ...] | None:
    """The noise maps of a point as [1, 1, H, W] each; None where there are none of that kind."""
    if not isinstance(maps, (list, tuple)) or not maps:
        return None
    if not all(isinstance(m, Tensor) and m.ndim == 4 and m.shape[:2] == (1, 1) for m in maps):
        return None
    return tuple(floats("noise", m) for m in maps)


def to_latent(generator: Generator, point: ForeignPoint) -> tuple[Latent, str]:
    """The point as a latent of the generator, and one phrase about its space and noise.

    W where one w is given or all rows are equal, else W+; with noise maps of the generator's sizes
    NW+. Raises :class:`UsageError` for other widths and numbers of layers.
    """
    ws, expected = point.ws, (generator.num_ws, generator.w_dim)
    if ws.shape[-1] != generator.w_dim or (ws.ndim == 2 and len(ws) != generator.num_ws):
        shape = list(ws.shape)
        several = "; --rows-are-points takes each row as one" if shape[-1] == expected[1] else ""
        raise UsageError(
            f"expected w of {expected[1]} values, or {expected[0]} layers of it, for "
            f"{generator.name or 'this generator'}; got {shape}, of another network{several}"
        )
    one = ws.ndim == 1 or bool((ws == ws[0]).all())
    rows = "one w" if ws.ndim == 1 else "all layers are equal" if one else "a w for each layer"
    latent = generator.latent((ws if ws.ndim == 1 else ws[0] if one else ws)[None])
    if point.noise is None:
        return latent, f"{latent.space}: {rows}"

    # The noise belongs to the picture: with it the point is one of NW+.
    sizes = tuple(tuple(m.shape[2:]) for m in point.noise)
    if sizes != generator.shapes("NW+").noise:
        return latent, f"{latent.space}: {rows}; its noise maps are of other sizes and left out"
    maps = tuple(m.to(generator.device, generator.dtype) for m in point.noise)
    whole = generator.convert(latent, "NW+").replace(noise=maps)
    return whole, f"{whole.space}: {rows}, with its noise maps"


def encode_points(generator: Generator, latent: Latent, kind: str) -> bytes:
    """The bytes of a file that another project reads; all have a w per layer.

    Raises :class:`SpaceError` for spaces with more than w, saying what would be lost.
    """
    if kind not in ENDINGS:
        raise UsageError(f"unknown format {kind!r}; known: {', '.join(ENDINGS)}")
    try:
        points = generator.convert(latent, "W+").style_tensor()
    except SpaceError as error:
        raise SpaceError(
            f"{error}; files of other projects hold w alone, "
            "`invert project --space W+` finds such a point"
        ) from None
    ws = points.detach().cpu().float().contiguous()

    data = io.BytesIO()
    if kind == "projected-w":
        np.savez(data, w=ws.numpy())
    elif kind == "npy":
        np.save(data, ws[0].numpy() if len(ws) == 1 else ws.numpy())
    else:
        torch.save(ws.clone(), data)
    return data.getvalue()
