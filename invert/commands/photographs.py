"""The photographs of `invert project`, and the files of their projections."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from invert.commands.destinations import Destinations, claim, is_ours
from invert.commands.terminal import say
from invert.errors import ImageError

if TYPE_CHECKING:
    from invert.projection.outputs import OutputPaths

PROGRESS = ("gif", "webp")  # formats of --save-progress
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")  # in a folder


def claim_projections(
    images: Sequence[Path],
    names: Sequence[OutputPaths],
    progress_format: Literal["gif", "webp"] | None,
    network: str,
    overwrite: bool,
) -> list[Destinations]:
    """The files of each photograph's projection, checked by :func:`claim`."""
    claimed = []
    for source, files in zip(images, names, strict=True):
        progress = [files.progress(progress_format)] if progress_format else []
        claimed.append(
            claim(
                "project",
                [*files.all(), *progress],
                files=[source],
                network=network,
                overwrite=overwrite,
            )
        )
    return claimed


def say_new_names(images: Sequence[Path], names: Sequence[OutputPaths]) -> None:
    """Say which photographs have results of another name, because two would share it."""
    for source, files in zip(images, names, strict=True):
        if files.latent.stem != source.stem or files.image.stem != source.stem:
            say(f"{source}: goes to {files.latent}, {files.image.name}", err=True)


def stale_progress(files: OutputPaths, destinations: Destinations) -> list[Path]:
    """Animations of an earlier projection of the photograph, which the new one does not write."""
    paths = [files.progress(kind) for kind in PROGRESS]
    return [
        path for path in paths if path not in destinations.outputs and is_ours(path, destinations)
    ]


def check_no_folder(source: Path) -> None:
    """Raise :class:`ImageError` for a folder, with what to type for the pictures in it."""
    if not os.path.isdir(source):
        return

    suffixes = sorted({path.suffix for path in source.iterdir() if path.suffix.lower() in PICTURES})
    if not suffixes:
        raise ImageError(f"{source}: a folder, and no pictures in it; name picture files")
    patterns = " ".join(f"{shlex.quote(str(source))}/*{suffix}" for suffix in suffixes)
    raise ImageError(f"{source}: a folder; name the pictures in it: invert project {patterns}")
