"""The two sets of pictures that `invert measure` compares, from what the user named."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.commands.opening import open_generator
from invert.commands.options import (
    FILE,
    check_psi,
    class_option,
    device_option,
    network_option,
    reading_settings,
    was_given,
)
from invert.commands.parsing import parse_seeds
from invert.errors import UsageError

if TYPE_CHECKING:
    from invert.generator import Generator
    from invert.metrics.picture_sets import PictureSet

DEFAULT_COUNT = 10_000  # crops of a picture
MOMENTS_SUFFIX = ".safetensors"

SET_SECTION = ("size", "count", "seed", "max_pixels")
SAMPLES_SECTION = ("seeds", "psi", "label", "noise")

seeds_option = click.option(
    "--seeds", metavar="SEEDS", default="0-9999", show_default=True, help="Of the samples."
)
noise_option = click.option(
    "--noise",
    type=click.Choice(["const", "none", "random"]),
    default="random",
    show_default=True,
    help="Noise of the samples; random is drawn for each.",
)
psi_option = click.option(
    "--psi",
    metavar="PSI",
    type=float,
    default=1.0,
    show_default=True,
    callback=check_psi,
    help="Truncation of the samples; 1 is none.",
)
batch_option = click.option(
    "--batch", metavar="N", type=int, help="Pictures computed together. Default: a megapixel."
)
OPTIONS = (
    click.argument("a", type=FILE),
    click.argument("b", type=FILE, required=False),
    click.option(
        "--size",
        metavar="N",
        type=int,
        help="Pixels a side: of crops; centre squares and samples are scaled to it.",
    ),
    click.option(
        "--count",
        metavar="N",
        type=int,
        help="Crops of a picture, or the first pictures of a folder. "
        f"Default: {DEFAULT_COUNT}, or all.",
    ),
    click.option(
        "--seed",
        metavar="N",
        type=int,
        default=0,
        show_default=True,
        help="Of the places of crops.",
    ),
    click.option("--max-pixels", metavar="N", type=int, help="Refuse larger pictures."),
    seeds_option,
    psi_option,
    class_option,
    noise_option,
    batch_option,
    network_option,
    device_option,
)


@dataclass(frozen=True)
class SetOptions:
    """What :func:`set_options` takes."""

    a: Path
    b: Path | None
    size: int | None
    count: int | None
    seed: int
    max_pixels: int | None
    seeds: str
    psi: float
    label: int | None
    noise: Any
    batch: int | None
    network: str
    device: str

    def check(self) -> None:
        """Raise :class:`UsageError` for options of samples where B is no network's samples."""
        given = [name for name in ("network", *SAMPLES_SECTION) if was_given(name)]
        if self.b is not None and given:
            name = {"label": "class"}.get(given[0], given[0])
            raise UsageError(
                "A is compared with B or with samples of --network, got "
                f"{self.b.name} and --{name}; leave one of them out"
            )

    def sources(self, path: Path | None) -> dict[str, Any]:
        """What a set is made from, as `claim` takes it; None stands for the samples."""
        if path is None:
            how = f"psi {self.psi:g}, class {self.label}, noise {self.noise}, size {self.size}"
            return {"files": [f"samples, {how}"], "network": self.network}
        if path.is_dir():
            return {"files": [f"folder of pictures, size {self.size}"]}
        return {"files": [path, f"crops, size {self.size}, seed {self.seed}"]}

    def generator(self) -> Generator | None:
        """The network whose samples stand for B where no B is named."""
        return open_generator(self.network, self.device) if self.b is None else None

    def pictures(self, path: Path | None, generator: Generator | None) -> PictureSet:
        """The pictures at a path, or for None the generator's samples.

        Crops have the size of the samples where none is given.
        """
        from invert.images.image_files import ReadOptions
        from invert.metrics.picture_sets import FolderPictures, GeneratedPictures, PictureCrops

        if path is None:
            assert generator is not None
            return GeneratedPictures(
                generator,
                parse_seeds(self.seeds),
                psi=self.psi,
                label=self.label,
                noise=self.noise,
                size=self.size,
            )
        options = ReadOptions(**reading_settings(None, None, self.max_pixels, False))
        if path.is_dir():
            return FolderPictures(path, size=self.size, count=self.count, options=options)

        size = self.size or (min(generator.image_size) if generator is not None else None)
        if size is None:
            raise UsageError(
                f"{path}: expected a folder of pictures, or one picture and --size N to cut it "
                "into crops; got one picture"
            )
        count = DEFAULT_COUNT if self.count is None else self.count
        return PictureCrops(path, size=size, count=count, seed=self.seed, options=options)


def set_options(function: Callable[..., None]) -> Callable[..., None]:
    """A command's function that takes SetOptions as `options`, with the arguments A and B and all
    options behind them, those of the network and the device included.
    """

    @functools.wraps(function)
    def command(**values: Any) -> None:
        options = {field.name: values.pop(field.name) for field in fields(SetOptions)}
        function(options=SetOptions(**options), **values)

    for option in reversed(OPTIONS):
        command = option(command)
    return command


def check_sizes(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    """Raise :class:`UsageError` unless the facts of two sets name one size of pictures."""
    if a.get("size") != b.get("size"):
        raise UsageError(
            f"expected pictures of one size, got (height, width) {a.get('size')} and "
            f"{b.get('size')}; --size N makes them alike"
        )
