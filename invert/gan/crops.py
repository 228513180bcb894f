"""Training data: square crops of pictures, uniform over their whole area.

A picture may be far larger than memory: what is read of it are the crops. [S] section 8.2 trains on
images of thousands of megapixels so.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from invert.errors import ImageError, ImageWarning, UsageError
from invert.files.file_kinds import shown
from invert.files.run_folder import is_run

MAX_TRIES = 400  # crops that are drawn before one with enough detail must be among them
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
MAX_PIXELS = 2**31  # of one picture
MAX_BYTES = 2**33  # of its file
Array = Any  # [H, W, 3] uint8 that is read where it is sliced: a numpy map, or a Zarr array


@dataclass(frozen=True)
class CropSettings:
    """Which crops are drawn, and how they may be turned.

    min_detail  the least standard deviation of a crop, over pixels and colours, in grey levels
    max_blue    the largest share of pixels whose blue is their strongest colour: leaves out the sea
    mirror      half of the crops are mirrored
    turn        crops are turned by quarters; for scenes without an upright, such as satellite ones
    """

    size: int
    min_detail: float = 0.0
    max_blue: float = 1.0
    mirror: bool = False
    turn: bool = False


class Crops:
    """Crops of pictures; every place of every picture is equally likely.

    Crop n of a seed depends on (seed, n) alone. Raises :class:`UsageError` when no picture is as
    large as a crop.
    """

    def __init__(self, pictures: Sequence[Array], settings: CropSettings, seed: int = 0) -> None:
        size = settings.size
        places = [max(0, p.shape[0] - size + 1) * max(0, p.shape[1] - size + 1) for p in pictures]
        if not any(places):
            largest = max((p.shape[:2] for p in pictures), default=(0, 0))
            raise UsageError(
                f"expected pictures of at least {size}×{size} px, the largest is "
                f"{largest[1]}×{largest[0]}; use a smaller --size, or larger pictures"
            )
        self.pictures, self.settings, self.seed = list(pictures), settings, seed
        self.ends = np.cumsum(places)  # of each picture's range of places

    def batch(self, start: int, count: int) -> Tensor:
        """Crops start … start + count − 1, float32 [count, 3, size, size] in [−1, 1]."""
        crops = np.stack([self.crop(n) for n in range(start, start + count)])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1

    def crop(self, number: int) -> np.ndarray:
        """Crop `number`, uint8 [size, size, 3]."""
        random = np.random.Generator(np.random.Philox(key=[self.seed, number]))
        for _ in range(MAX_TRIES):
            crop = self.draw(random)
            if self.is_wanted(crop):
                return self.moved(crop, random)
        s = self.settings
        raise UsageError(
            f"none of {MAX_TRIES} crops has a detail of {s.min_detail:g} with at most "
            f"{s.max_blue:.0%} of blue; lower --min-detail, or raise --max-blue"
        )

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """A crop of a random place."""
        place = int(random.integers(self.ends[-1]))
        which = int(np.searchsorted(self.ends, place, side="right"))
        picture, size = self.pictures[which], self.settings.size
        place -= int(self.ends[which - 1]) if which else 0

        y, x = divmod(place, picture.shape[1] - size + 1)
        return np.asarray(picture[y : y + size, x : x + size])

    def is_wanted(self, crop: np.ndarray) -> bool:
        """Whether a crop has enough detail, and is not mostly blue."""
        s = self.settings
        if s.min_detail > 0 and crop.std(axis=(0, 1)).mean() < s.min_detail:
            return False
        if s.max_blue >= 1:
            return True
        blue = (crop[:, :, 2] > crop[:, :, 0]) & (crop[:, :, 2] > crop[:, :, 1])
        return bool(blue.mean() <= s.max_blue)

    def moved(self, crop: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The crop, mirrored and turned as the settings allow."""
        mirror, quarters = (int(random.integers(n)) for n in (2, 4))
        if self.settings.mirror and mirror:
            crop = crop[:, ::-1]
        return np.ascontiguousarray(np.rot90(crop, quarters) if self.settings.turn else crop)


def open_pictures(path: Path, folder: Path) -> list[Array]:
    """The pictures of a file, a folder or a Zarr array, each [H, W, 3] and read where it is sliced.

    Pictures are decoded once, one after the other, into `folder`, where later runs find them;
    there they take three bytes a pixel. A Zarr array is [H, W, 3] uint8 and is read chunk by chunk
    (package zarr, extra `training`).

    A picture of a folder that cannot be read is passed over with an :class:`ImageWarning`. Raises
    :class:`UsageError` where there is no picture, or none that can be read, :class:`ImageError` for
    a file that cannot be.
    """
    if is_zarr(path):
        return [open_zarr(path)]
    if not path.is_dir():
        return [decoded(path, folder)]

    pictures, files = [], picture_files(path)
    for file in files:
        try:
            pictures.append(decoded(file, folder))
        except ImageError as error:
            what = str(error).removeprefix(f"{shown(file)}: ").partition("; ")[0]
            warnings.warn(f"{shown(file)}: {what}; it is left out", ImageWarning, stacklevel=2)
    if not pictures:
        raise UsageError(
            f"{path}: expected pictures to train on, none of {len(files)} can be read; convert "
            "them to PNG or JPEG"
        )
    return pictures


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder and those in it, sorted; hidden files, and the samples of training
    runs, are none. Raises :class:`UsageError` where there is no picture.
    """
    files = sorted(p for p in files_below(folder) if p.suffix.lower() in SUFFIXES)
    if not files:
        raise UsageError(f"{folder}: no pictures ({', '.join(SUFFIXES)}) in this folder")
    return files


def files_below(folder: Path) -> Iterator[Path]:
    """All files of a folder and those in it, but hidden ones and the folders of training runs."""
    for place, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".") and not is_run(Path(place) / f)]
        yield from (Path(place) / name for name in names if not name.startswith("."))


def data_digest(path: Path) -> str:
    """SHA-256 of the names and sizes of the pictures that :func:`open_pictures` reads; of a Zarr
    array, of its shape. It is the same wherever a folder lies, and no picture is read for it.

    Raises :class:`UsageError` where there is none.
    """
    if is_zarr(path):
        lines = [str(open_zarr(path).shape)]
    else:
        folder, files = (path, picture_files(path)) if path.is_dir() else (path.parent, [path])
        lines = [f"{file.relative_to(folder).as_posix()} {size_of(file)}" for file in files]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def size_of(file: Path) -> int:
    """Bytes of a file; 0 of one that is gone or leads nowhere, which is told where it is read."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def is_zarr(path: Path) -> bool:
    """Whether a path is that of a Zarr array."""
    return path.suffix == ".zarr" or (path / ".zarray").exists() or (path / "zarr.json").exists()


def decoded(path: Path, folder: Path) -> np.ndarray:
    """A picture as a map of memory on its decoded pixels in `folder`."""
    from invert.files.atomic_files import write_atomically
    from invert.images.images import ReadOptions, read_image

    # The copy is that of this file as it is now.
    try:
        facts = path.stat()
    except OSError as error:
        raise UsageError(f"{path}: no such picture or folder") from error
    where = os.fsencode(os.path.abspath(path))
    name = hashlib.sha256(where + f"{facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()[:32]
    copy = folder / f"{name}.npy"

    if not copy.exists():
        # A picture of any size is one, if perhaps without room for a crop.
        options = ReadOptions(
            max_pixels=MAX_PIXELS, max_bytes=MAX_BYTES, min_side=1, max_aspect=1e4
        )
        pixels = np.asarray(read_image(path, options))
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(copy, lambda file: np.save(file, pixels))
    try:
        pixels = np.load(copy, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{copy}: damaged ({error}); remove it") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise UsageError(f"{copy}: not the pixels of {path}; remove it")
    return pixels


def open_zarr(path: Path) -> Array:
    """A Zarr array of pixels."""
    try:
        import zarr
    except ImportError:
        raise UsageError(
            f"{path}: a Zarr array needs the package zarr: pip install 'invert[training]'"
        ) from None
    try:
        array: Any = zarr.open(str(path), mode="r")
    except Exception as error:  # whatever the store makes of a damaged array
        raise UsageError(f"{path}: cannot be read as a Zarr array ({error})") from error
    shape: tuple[int, ...] = getattr(array, "shape", ())
    if len(shape) != 3 or shape[2] != 3 or str(array.dtype) != "uint8":
        raise UsageError(f"{path}: expected one array [H, W, 3] of uint8, got {list(shape)}")
    return array
