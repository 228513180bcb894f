"""The processor time of whole commands, of this checkout beside another one.

    python benchmarks/startup.py portrait.pt --old ../before
    python benchmarks/startup.py portrait.pt --old ../before --only render --runs 9
    python benchmarks/startup.py portrait.pt --modules render  # what it imports, by package

`portrait.pt` is a projection into FNW5 by `invert project`. Each command is a process of its own
with one thread. User and system seconds are counted, since wall time is that of the machine's other
work too. The checkouts take turns, one unmeasured turn first, which writes Python's bytecode. The
pictures and latents that both leave are compared: pixels and tensors must be equal.
"""

from __future__ import annotations

import filecmp
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image

from invert.latents.latent import Latent

HERE = Path(__file__).resolve().parents[1]
COMMANDS = {
    "help": ["--help"],
    "info": ["info", "LATENT"],
    "render": ["render", "LATENT", "-o", "render.png"],
    "edit": ["edit", "LATENT", "--direction", "smile", "-o", "edit.png"],
    "edit, 3 directions": [
        *["edit", "LATENT", "-o", "three.png"],
        *["--direction", "smile", "--direction", "yaw", "--direction", "age"],
    ],
    "edit, strip of 7": [
        *["edit", "LATENT", "--direction", "smile", "--strip", "-3:3:7", "-o", "strip.png"],
    ],
    "mix": ["mix", "LATENT", "LATENT", "--mask", "MASK", "-o", "mix.png"],
    "interpolate, 10 frames": [
        *["interpolate", "LATENT", "LATENT", "--frames", "10", "-o", "morph.gif"],
    ],
}


def seconds(words: list[str], checkout: Path, folder: Path, options: tuple[str, ...] = ()) -> float:
    """User and system seconds of one `invert` command of a checkout, run in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, *options, "-m", "invert", *words],
        env=environment, cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        raise click.ClickException(f"invert {' '.join(words)}: {result.stderr}")
    (folder / "stderr.txt").write_text(result.stderr)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def different_files(old: Path, new: Path) -> list[str]:
    """The pictures and latents in a folder that differ from those of the other, by name."""
    names = sorted(path.name for path in old.iterdir() if path.suffix in SAME)
    return [name for name in names if not SAME[Path(name).suffix](old / name, new / name)]


def same_pixels(a: Path, b: Path) -> bool:
    """Whether two pictures show the same."""
    with Image.open(a) as old, Image.open(b) as new:
        return np.array_equal(np.asarray(old), np.asarray(new))


def same_tensors(a: Path, b: Path) -> bool:
    """Whether two latent files hold the same values and metadata, whatever wrote them."""
    old, new = Latent.load(a), Latent.load(b)
    pairs = zip(old.tensors(), new.tensors(), strict=True)
    return old.metadata == new.metadata and all(torch.equal(x, y) for x, y in pairs)


SAME: dict[str, Callable[[Path, Path], bool]] = {
    ".png": same_pixels,
    ".gif": filecmp.cmp,
    ".pt": same_tensors,
}


def print_modules(words: list[str], folder: Path) -> None:
    """Milliseconds of wall time that a command spends in the modules of each package it imports."""
    seconds(words, HERE, folder, ("-X", "importtime"))
    spent: Counter[str] = Counter()
    for line in (folder / "stderr.txt").read_text().splitlines():
        if not line.startswith("import time:"):
            continue  # what the command itself says
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            spent[name.strip().partition(".")[0]] += int(own)
    for package, microseconds in spent.most_common(15):
        click.echo(f"{package:20} {microseconds / 1000:7.0f} ms")


@click.command()
@click.argument("latent", type=click.Path(exists=True, path_type=Path))
@click.option("--old", type=click.Path(exists=True, path_type=Path), help="Another checkout.")
@click.option("--runs", default=5, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(COMMANDS)))
@click.option("--modules", type=click.Choice(list(COMMANDS)), help="What it imports, no timing.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/startup.json"))
def main(
    latent: Path, old: Path | None, runs: int, only: tuple[str, ...], modules: str | None, out: Path
) -> None:
    checkouts = {"new": HERE} if old is None else {"old": old.resolve(), "new": HERE}
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        folders = {name: Path(place) / name for name in checkouts}
        for folder in folders.values():
            folder.mkdir()
        mask = Path(place) / "mask.png"
        Image.linear_gradient("L").resize((1024, 1024)).save(mask)
        named = {"LATENT": str(latent.resolve()), "MASK": str(mask)}
        words = {name: [named.get(w, w) for w in command] for name, command in COMMANDS.items()}
        if modules:
            print_modules(words[modules], folders["new"])
            return

        # One turn that does not count, then the measured ones.
        for name in only or COMMANDS:
            times: dict[str, list[float]] = {checkout: [] for checkout in checkouts}
            for turn in range(runs + 1):
                for checkout, path in checkouts.items():
                    spent = seconds(words[name], path, folders[checkout])
                    if turn:
                        times[checkout].append(spent)
            rows[name] = {checkout: statistics.median(spent) for checkout, spent in times.items()}
            line = "   ".join(f"{checkout} {s:6.2f} s" for checkout, s in rows[name].items())
            share = f"   {rows[name]['new'] / rows[name]['old']:4.0%}" if old else ""
            click.echo(f"{name:24}{line}{share}")

        wrong = different_files(folders["old"], folders["new"]) if old else []
    if wrong:
        raise click.ClickException(f"results differ: {', '.join(wrong)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {"torch": torch.__version__, "runs": runs, "processor seconds": rows}
    out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
