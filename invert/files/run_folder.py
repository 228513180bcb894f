"""The folder of a training run: one process at a time, and a history that can be cut back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from invert.errors import UsageError
from invert.files.atomic_files import write_atomically
from invert.files.leftovers import recover
from invert.files.regular_files import read_regular

STATE, HISTORY, LOCK = "run.pt", "history.jsonl", "lock"
MAX_HISTORY_BYTES = 64 << 20


@contextmanager
def alone_in(folder: Path) -> Iterator[Path]:
    """The folder, made where it was not, while no other process has it; also when that process was
    killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recover(folder)
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield folder
    except Timeout as error:
        raise UsageError(
            f"{folder}: another process trains here; wait for it, or name another output"
        ) from error


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, under way or over."""
    return folder.suffix == ".run" and any((folder / name).exists() for name in (STATE, LOCK))


def check_run(folder: Path, *, resume: bool) -> None:
    """Raise :class:`UsageError` unless a run is there exactly where one is to go on."""
    if (folder / STATE).exists() != resume:
        what = (
            "no run to resume; train first, or name another output"
            if resume
            else "a run is there; use --resume, name another output, or remove the run's folder"
        )
        raise UsageError(f"{folder}: {what}")


def add_line(history: Path, line: Mapping[str, Any]) -> None:
    """Append a line of JSON."""
    with history.open("a") as file:
        file.write(json.dumps(line, sort_keys=True) + "\n")


def read_lines(history: Path) -> list[str]:
    """The lines of a history; none where there is no file. Raises :class:`UsageError`."""
    if not history.exists():
        return []
    try:
        return read_regular(history, MAX_HISTORY_BYTES).decode(errors="replace").splitlines()
    except OSError as error:
        raise UsageError(f"{history}: cannot be read ({error.strerror}); move it away") from error


def forget_later_steps(history: Path, step: int) -> None:
    """Drop the lines after the step that the run was saved at; they will be made again."""
    if not history.exists():
        return
    kept = "".join(line + "\n" for line in read_lines(history) if step_of(line) <= step)
    write_atomically(history, lambda file: file.write(kept.encode()))


def step_of(line: str) -> float:
    """The step that a line of the history is about; infinity for a torn or damaged line."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return math.inf
