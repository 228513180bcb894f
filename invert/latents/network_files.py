"""Where the network of a latent is: what latents remember of it, and how a moved file is found.

Metadata `network` holds the file's `path` when the latent was made and, in a latent file, its path
`relative` to that file's folder. Both name folders of whoever made it. Networks with a name in the
registry need neither.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invert.checkpoints import fingerprint, read_checkpoint
from invert.errors import ModelFileError
from invert.recognition import is_other_file

if TYPE_CHECKING:
    from invert.latents.latent import Latent

KEY = "network"
SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".safetensors", ".ckpt", ".bin")
MAX_LISTED = 2000  # names of a folder that are looked at
MAX_READ = 12  # files whose weights are compared: seconds each


def reference(path: Path | None) -> dict[str, Any]:
    """What a latent's metadata remember of the file of its network; empty without a file."""
    return {} if path is None else {KEY: {"path": os.path.abspath(path)}}


def with_relative_path(metadata: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The metadata with the network's path relative to the folder that a latent file lies in."""
    network = metadata.get(KEY)
    path = network.get("path") if isinstance(network, Mapping) else None
    if not isinstance(path, str):
        return dict(metadata)
    try:
        relative = Path(os.path.relpath(path, os.path.abspath(folder))).as_posix()
    except ValueError:  # on another drive
        return {**metadata, KEY: {"path": path}}
    return {**metadata, KEY: {"path": path, "relative": relative}}


def recorded_paths(metadata: Mapping[str, Any], folder: Path) -> list[Path]:
    """Where the metadata of a latent in `folder` say that its network is, likeliest path first.

    No file is opened.
    """
    network = metadata.get(KEY)
    if not isinstance(network, Mapping):
        return []
    relative, path = network.get("relative"), network.get("path")
    places = [folder / relative] if isinstance(relative, str) else []
    return [*places, Path(path)] if isinstance(path, str) else places


def find_network(latent: Latent, folders: Iterable[Path]) -> Path | None:
    """A checkpoint in one of the folders with the fingerprint of the latent, whatever it is called.

    Files of the name that the latent remembers come first. At most `MAX_READ` are read.
    """
    for path in likely_checkpoints(latent, folders)[:MAX_READ]:
        try:
            checkpoint = read_checkpoint(path)
        except ModelFileError:
            continue
        if fingerprint(checkpoint.tensors, checkpoint.config) == latent.fingerprint:
            return path
    return None


def likely_checkpoints(latent: Latent, folders: Iterable[Path]) -> list[Path]:
    """Files that may be checkpoints, those of the network's name first."""
    places = {os.path.realpath(folder): folder for folder in folders}
    files = [path for folder in places.values() for path in files_in(folder)]
    names = {path.name for path in recorded_paths(latent.metadata, Path())}
    stem = str(latent.metadata.get("generator", ""))
    return sorted(files, key=lambda path: (path.name not in names, path.stem != stem, path.name))


def files_in(folder: Path) -> Iterator[Path]:
    """Files of a folder that may be checkpoints by suffix and first bytes, by name."""
    try:
        names = sorted(os.listdir(folder))[:MAX_LISTED]
    except OSError:
        return
    for name in names:
        path = folder / name
        if path.suffix.lower() in SUFFIXES and path.is_file() and not is_other_file(path):
            yield path
