"""`invert project` of two states of this repository, side by side: time and likeness.

    python benchmarks/fast.py --old PATH               # the portrait and nine generated faces
    python benchmarks/fast.py --old PATH --preset draft
    python benchmarks/fast.py --old PATH --faces 2 --first-seed 2000 --threads 1

PATH is another checkout, whose command runs as it is there; `--preset` is for the state that this
file lies in. Old and new take turns, image by image, each in a process of its own. Generated faces
are seeds 1000, 1001, … at psi 0.7 with random noise. Times are those of whole commands: wall
seconds, and processor seconds of all threads, which other work on the machine disturbs least.
Distances are those of the written pictures. Prints one line per projection, then means and ratios.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from spaces import FIRST_SEED, targets, tile_distance
from torch import Tensor

import invert
from invert.images.images import read_image, to_pil, to_tensor, write_png
from invert.metrics.perceptual import PERCEPTUAL, PerceptualDistance, load_perceptual
from invert.metrics.reconstruction import reconstruction_metrics
from invert.weights import MODELS

HERE = Path(__file__).resolve().parent.parent


def run(
    checkout: Path, photo: Path, out: Path, arguments: list[str], threads: int
) -> dict[str, float]:
    """Wall and processor seconds of `invert project` of a checkout, which writes into a folder."""
    command = [sys.executable, "-m", "invert", "project", str(photo), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(checkout)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [*command, "--overwrite", "--crop", "centre", *arguments],
        cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"wall": wall, "processor": processor}


def likeness(picture: Path, target: Tensor, distances: list[PerceptualDistance]) -> dict[str, Any]:
    """The distances of a written picture, and that of its tiles at full size."""
    image = to_tensor(read_image(picture))
    alex = next(d for d in distances if d.name == "st-lpips-alex")
    metrics = reconstruction_metrics(image, target, distances)
    return {**metrics, "tiles": tile_distance(image, target, alex)}


@click.command()
@click.option("--old", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--network", default="ffhq-mobile")
@click.option("--space", default="FNW5")
@click.option("--preset", "preset_name", default="fast", help="Of the new state.")
@click.option("--portrait", type=click.Path(path_type=Path), default=Path("examples/portrait.png"))
@click.option("--faces", default=9)
@click.option("--first-seed", default=FIRST_SEED)
@click.option("--threads", default=2)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/fast"))
def main(
    old: Path, network: str, space: str, preset_name: str, portrait: Path, faces: int,
    first_seed: int, threads: int, out: Path,
) -> None:  # fmt: skip
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    names = [name for name in PERCEPTUAL if name in MODELS]
    distances = [load_perceptual(name) for name in names]
    images = targets(invert.load_generator(network), portrait, faces, first_seed)
    states = {"old": (old.resolve(), []), "new": (HERE, ["--preset", preset_name])}
    rows: list[dict[str, Any]] = []

    # Old and new in turn, for every image.
    with tempfile.TemporaryDirectory() as folder:
        for image_name, image in images.items():
            photo = Path(folder) / f"{image_name}.png"
            write_png(to_pil(image)[0], photo)
            target = to_tensor(read_image(photo))
            for state, (checkout, extra) in states.items():
                arguments = ["--network", network, "--space", space, *extra]
                seconds = run(checkout, photo, out / state, arguments, threads)
                row = {"image": image_name, "state": state, **seconds}
                rows.append(row | likeness(out / state / photo.name, target, distances))
                click.echo(json.dumps(rows[-1], sort_keys=True))

    # Means, and ratios of means.
    keys = ("wall", "processor", *names, "mse", "tiles")
    means = {
        state: {k: statistics.mean(r[k] for r in rows if r["state"] == state) for k in keys}
        for state in states
    }
    ratios = {key: means["new"][key] / means["old"][key] for key in keys}
    for name, values in (*means.items(), ("new / old", ratios)):
        click.echo(f"{name:10} " + "  ".join(f"{k} {value:.4f}" for k, value in values.items()))
    result = {
        "threads": threads,
        "preset": preset_name,
        "rows": rows,
        "means": means,
        "ratios": ratios,
    }
    (out / "fast.json").write_text(json.dumps(result, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
