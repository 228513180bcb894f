"""Runs a command in forked children, each stopped at another of its writes, and prints what is
wrong afterwards.

`python killed_writes.py FOLDER WAY OLD NEW NEXT`: FOLDER holds the inputs; OLD, NEW and NEXT are
commands as JSON lists. OLD has made a set of results, and NEW, which replaces them, is stopped at
each write in turn. Then, at once and after NEXT has run: all results are OLD's or all are NEW's,
none is missing at the end, and nothing else is left. Stopped by anything but SIGKILL, all are
NEW's. Prints a JSON object: `writes`, their number, and `faults`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import cli

WRITES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
}


def stop(way: str) -> None:
    """Stop this process as a user, a system or a test would."""
    if way == "raise":
        raise KeyboardInterrupt
    os.kill(os.getpid(), getattr(signal, way))


class Writes:
    """Counts what this process changes in a folder, and stops it at one of the changes."""

    def __init__(self, folder: Path, way: str, at: int) -> None:
        self.folder, self.way, self.at, self.count = os.path.realpath(folder), way, at, 0
        sys.addaudithook(self.hear)
        real = os.fsync

        def fsync(handle: int) -> None:
            self.tell()
            real(handle)

        os.fsync = fsync  # the one write that is not audited

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        writing = event in WRITES
        if event == "open":
            _, mode, flags = arguments
            writing = bool(flags & (os.O_WRONLY | os.O_RDWR)) or any(c in str(mode) for c in "wax+")
        if writing and isinstance(arguments[0], (str, bytes, os.PathLike)):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if os.path.dirname(path) == self.folder and os.path.basename(path) != "tmp":
                self.tell()

    def tell(self) -> None:
        self.count += 1
        if self.count == self.at:
            stop(self.way)


def run(command: list[str], folder: Path, way: str = "", at: int = 0) -> tuple[int, int]:
    """The exit code of a command in a child, negative where a signal ended it, and its writes."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.chdir(folder)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        writes = Writes(folder, way, at)
        sys.argv = ["invert", *command]
        code = 99
        try:
            cli.main()
        except SystemExit as error:
            code = int(error.code or 0)
        finally:
            os.write(writing, str(writes.count).encode())
            os._exit(code)
    os.close(writing)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(reading) as pipe:
        return status, int(pipe.read() or 0)


def warm_up(folder: Path, *commands: list[str]) -> None:
    """Run commands in this process, so that its children have all modules."""
    os.chdir(folder)
    for command in commands:
        sys.argv = ["invert", *command]
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
            cli.main()


def contents(folder: Path) -> dict[str, Any]:
    """What each file holds, without how long that took and where the network lies."""
    found: dict[str, Any] = {}
    for path in folder.iterdir():
        found[path.name] = path.read_bytes()
        if path.suffix == ".pt":  # not Latent.load, which would put things right
            tensors = torch.load(path, weights_only=True)["tensors"]
            found[path.name] = {name: t.numpy().tobytes() for name, t in tensors.items()}
        if path.suffix == ".json":
            found[path.name] = json.loads(path.read_bytes()) | {"seconds_per_step": None}
    return found


def main() -> None:
    base, way = Path(sys.argv[1]), sys.argv[2]
    old_command, new_command, next_command = (json.loads(text) for text in sys.argv[3:])
    torch.set_num_threads(1)
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        old_place, new_place = (
            Path(shutil.copytree(base, Path(place) / name)) for name in ("old", "new")
        )
        inputs = set(contents(base))
        warm_up(Path(shutil.copytree(base, Path(place) / "warm")), old_command, next_command)
        assert run(old_command, old_place)[0] == 0
        shutil.copytree(old_place, new_place, dirs_exist_ok=True)
        code, writes = run(new_command, new_place)
        assert code == 0
        old, new = contents(old_place), contents(new_place)
        results = set(new) - inputs
        assert set(old) == set(new)
        assert all(old[name] != new[name] for name in results), [
            n for n in results if old[n] == new[n]
        ]

        for at in range(1, writes + 1):
            work = Path(shutil.copytree(old_place, Path(place) / f"work{at}"))
            code, _ = run(new_command, work, way, at)
            found = contents(work)
            now = {name: found[name] for name in results if name in found}
            if any(now[n] != old[n] for n in now) and any(now[n] != new[n] for n in now):
                faults.append(f"{at}: old and new side by side")
            if (code == -signal.SIGKILL) != (way == "SIGKILL") or (
                way != "SIGKILL" and code != 130
            ):
                faults.append(f"{at}: exit code {code}")
            if (code := run(next_command, work)[0]) != 0:
                faults.append(f"{at}: the next command ends with {code}")
            found = contents(work)
            if found != new and (way != "SIGKILL" or found != old):
                odd = sorted(n for n in {*found, *new} if found.get(n) != new.get(n))
                faults.append(f"{at}: {sorted(set(found) ^ set(new))} left or lost; {odd} not new")
            shutil.rmtree(work)
    print(json.dumps({"writes": writes, "faults": faults}))


if __name__ == "__main__":
    main()
