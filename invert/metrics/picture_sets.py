"""Sets of pictures that measures compare: a folder, crops of one picture, samples of a network.

All give float RGB [N, 3, H, W] in [−1, 1] of one size, at the 256 levels that a file has. The k-th
picture of a set depends on nothing but the set and k, so a longer set begins with a shorter one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from invert.arguments import check_integer, check_seed, check_seeds
from invert.errors import ImageError, UsageError
from invert.files.file_kinds import shown
from invert.generator import Generator, NoiseMode
from invert.images.crops import crop_to, square_crop
from invert.images.image_files import DEFAULTS, ReadOptions
from invert.images.images import area_downscale, from_levels, read_image, to_levels, to_tensor
from invert.metrics.generated import sample_facts, sampled, seeds_text
from invert.networks.network import Size

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
MAX_COUNT = 10_000_000
BATCH_PIXELS = 1 << 20  # of a batch, unless a picture alone has more
MAX_BATCH = 256


class PictureSet(Protocol):
    """Pictures by number.

    size   (height, width) of each in pixels
    facts  what they are, for a report
    """

    size: Size
    facts: dict[str, Any]

    def __len__(self) -> int: ...

    def images(self, start: int, stop: int) -> Tensor:
        """Pictures start … stop − 1, [N, 3, H, W]."""
        ...

    def identity(self, count: int) -> str:
        """A line that is the same for sets with the same first `count` pictures."""
        ...


class FolderPictures:
    """The pictures in a folder and the folders in it, in the order of their names.

    `size` cuts the centre square and resamples it to so many pixels a side; without it all must
    have the size of the first. `count` takes the first ones. Raises :class:`UsageError` for a
    folder without enough pictures, :class:`ImageError` for what is none and for another size.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int | None = None,
        count: int | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> None:
        self.folder, self.options = folder, options
        self.square = None if size is None else check_integer("size", size, 1, 1 << 16)
        least = 1 if count is None else check_integer("count", count, 1, MAX_COUNT)
        self.paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if len(self.paths) < least:
            raise UsageError(
                f"{shown(folder)}: expected a folder with {count or 'some'} pictures "
                f"({', '.join(SUFFIXES)}), got {len(self.paths)}"
            )
        self.paths = self.paths[:count]

        # The size of the first is that of all.
        self.size: Size = (size, size) if size else read_image(self.paths[0], options).size[::-1]
        self.facts = {"pictures": folder.name, "size": list(self.size), "count": len(self)}

    def __len__(self) -> int:
        return len(self.paths)

    def images(self, start: int, stop: int) -> Tensor:
        """Pictures start … stop − 1, on the CPU."""
        pictures = []
        for path in self.paths[start:stop]:
            picture = read_image(path, self.options)
            if self.square is not None:
                picture = crop_to(picture, square_crop(picture), (self.square, self.square))
            if picture.size[::-1] != self.size:
                raise ImageError(
                    f"{shown(path)}: expected {self.size[1]}×{self.size[0]} px as of "
                    f"{self.paths[0].name}, got {picture.width}×{picture.height}; "
                    "--size N makes all alike"
                )
            pictures.append(picture)
        return to_tensor(pictures)

    def identity(self, count: int) -> str:
        """A digest of names and lengths of the files, and the size."""
        names = [
            f"{path.relative_to(self.folder).as_posix()} {path.stat().st_size}"
            for path in self.paths[:count]
        ]
        digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()
        return f"folder {digest} size {self.square}"


class PictureCrops:
    """Square crops of one picture at seeded places, uniform over all that fit in it.

    A picture of any size may be read (`options` limits it). Raises :class:`UsageError` where not
    one crop fits.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: int,
        count: int,
        seed: int = 0,
        options: ReadOptions = DEFAULTS,
    ) -> None:
        self.pixels = np.asarray(read_image(path, options))  # [H, W, 3]
        self.digest = hashlib.sha256(self.pixels.tobytes()).hexdigest()
        side = check_integer("size", size, 1, 1 << 16)
        count = check_integer("count", count, 1, MAX_COUNT)
        height, width = self.pixels.shape[:2]
        if min(height, width) < side:
            raise UsageError(
                f"{shown(path)}: expected a picture of at least {side} px a side to cut crops "
                f"from, got {width}×{height}; choose a smaller --size"
            )

        # u in [0, 1) per axis → the first row and column of each crop.
        free = np.array([height - side + 1, width - side + 1])
        self.seed, self.size = check_seed(seed), (side, side)
        self.places = (np.random.RandomState(seed).random_sample((count, 2)) * free).astype(int)
        self.facts = {
            "picture": path.name,
            "crops_seed": seed,
            "size": [side, side],
            "count": count,
        }

    def __len__(self) -> int:
        return len(self.places)

    def images(self, start: int, stop: int) -> Tensor:
        """Crops start … stop − 1, on the CPU."""
        side = self.size[0]
        crops = [self.pixels[y : y + side, x : x + side] for y, x in self.places[start:stop]]
        return from_levels(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)).contiguous()

    def identity(self, count: int) -> str:
        """A digest of the pixels, the size of the crops and the seed of their places."""
        return f"crops of {self.pixels.shape} {self.digest} size {self.size[0]} seed {self.seed}"


class GeneratedPictures:
    """Pictures of seeds, rendered when they are asked for, on the generator's device.

    `size` averages them to so many pixels on the shorter side. Raises :class:`UsageError` for a
    size above the generator's.
    """

    def __init__(
        self,
        generator: Generator,
        seeds: Sequence[int],
        *,
        psi: float = 1.0,
        label: int | None = None,
        noise: NoiseMode = "random",
        size: int | None = None,
    ) -> None:
        self.generator, self.seeds = generator, check_seeds(seeds)
        self.psi, self.label, self.noise = psi, label, noise
        self.shorter = size

        # The size that pictures are averaged to.
        height, width = generator.image_size
        if size is not None and not 1 <= size <= min(height, width):
            raise UsageError(
                f"expected a size of at most the generator's, {min(height, width)} px, got {size}; "
                "pictures are not enlarged to be compared"
            )
        scale = 1 if size is None else size / min(height, width)
        self.size: Size = (round(height * scale), round(width * scale))
        self.facts = {
            **sample_facts(generator, self.seeds, psi=psi, label=label, noise=noise),
            "size": list(self.size),
        }

    def __len__(self) -> int:
        return len(self.seeds)

    def images(self, start: int, stop: int) -> Tensor:
        """Pictures of the seeds start … stop − 1."""
        latent = sampled(
            self.generator,
            self.seeds[start:stop],
            psi=self.psi,
            label=self.label,
            noise=self.noise,
        )
        images = self.generator.render(latent)
        if self.shorter is not None:
            images = area_downscale(images, self.size)
        return from_levels(to_levels(images))

    def identity(self, count: int) -> str:
        """The network's fingerprint, the first seeds, and how they are rendered."""
        return (
            f"samples of {self.generator.fingerprint} seeds {seeds_text(self.seeds[:count])} "
            f"psi {self.psi:g} class {self.label} noise {self.noise} size {self.size}"
        )


def batches_of(
    pictures: PictureSet, *, start: int = 0, batch: int | None = None
) -> Iterator[Tensor]:
    """The pictures from number `start` on, in batches of `batch`; by default of a megapixel."""
    step = batch_size(pictures.size, batch)
    for first in range(start, len(pictures), step):
        yield pictures.images(first, min(first + step, len(pictures)))


def batch_size(size: Size, batch: int | None = None) -> int:
    """How many pictures of that size are computed together: `batch`, where the caller says.

    Raises :class:`UsageError` for a batch below 1.
    """
    if batch is not None:
        return check_integer("batch", batch, 1, MAX_COUNT)
    return max(1, min(MAX_BATCH, BATCH_PIXELS // (size[0] * size[1])))
