"""What an encoder is worth: its own picture, and a projection that starts from it, against the
two-stage start.

    python benchmarks/encoder.py                      # the portrait and nine generated faces, FNW5
    python benchmarks/encoder.py --faces 0 --steps 50
    python benchmarks/encoder.py --faces 1 --first-seed 2003 --set beta2=0.999  # one setting

Generated faces are seeds 1000, 1001, … (`--first-seed`) at psi 0.7 with random noise, which no
encoder was trained on. Three projections per image with the default settings: from the encoder in 0
steps (its seconds are encoding and rendering), from the encoder in `--steps`, and from two stages
in all their steps. Prints one line per projection, and means. Needs an encoder for the network and
layer.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import click
import torch
from spaces import FIRST_SEED, fields, targets
from torch import Tensor

import invert
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance, load_perceptual
from invert.metrics.reconstruction import reconstruction_metrics
from invert.projection.initialization import InitName, possible_inits
from invert.projection.projector import Projection, project
from invert.projection.settings import ProjectionSettings, preset

DISTANCES = ("st-lpips-vgg", "st-lpips-alex")
REPORTED = (*DISTANCES, "mse", "seconds")


def runs(
    settings: ProjectionSettings, steps: int
) -> dict[str, tuple[InitName, ProjectionSettings]]:
    """Name → start, settings."""
    return {
        "encoder, 0 steps": ("encoder", settings.replace(steps=0)),
        f"encoder, {steps} steps": ("encoder", settings.replace(steps=steps)),
        f"two-stage, {settings.init_steps} + {settings.steps} steps": ("two-stage", settings),
    }


def timed_projection(
    generator: Generator,
    image: Tensor,
    space: str,
    init: InitName,
    settings: ProjectionSettings,
    loss: PerceptualDistance,
    crop: PerceptualDistance,
) -> tuple[Projection, float]:
    """The projection and the seconds of all its stages, the render of the result included."""
    began = time.perf_counter()
    result = project(
        generator, image, space, settings=settings, init=init, perceptual=loss, crop_perceptual=crop
    )
    return result, time.perf_counter() - began


@click.command()
@click.option("--network", default="ffhq-mobile")
@click.option("--portrait", type=click.Path(path_type=Path), default=Path("examples/portrait.png"))
@click.option("--faces", default=9)
@click.option("--first-seed", default=FIRST_SEED)
@click.option("--space", default="FNW5")
@click.option("--steps", default=100)
@click.option(
    "--set", "changed", multiple=True, metavar="NAME=VALUE", help="A field of ProjectionSettings."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/encoder.json"))
def main(
    network: str, portrait: Path, faces: int, first_seed: int, space: str, steps: int,
    changed: tuple[str, ...],
    out: Path,
) -> None:  # fmt: skip
    invert.keep_large_blocks()
    generator = invert.load_generator(network)
    distances = [load_perceptual(name) for name in DISTANCES]
    by_name, settings = (
        {d.name: d for d in distances},
        preset("fast", space).replace(**fields(changed)),
    )
    loss, crop = by_name[settings.perceptual], by_name[settings.crop_perceptual]

    images = targets(generator, portrait, faces, first_seed)
    first = next(iter(images.values()))
    if "encoder" not in possible_inits(generator, first, Space.parse(space)):
        raise UsageError(
            f"no encoder for {network} and {space}; train one with `invert train encoder`"
        )
    project(generator, first, space, settings=settings.replace(steps=0), init="encoder")  # loads it

    # One row per image and run.
    rows: list[dict[str, Any]] = []
    for image_name, image in images.items():
        for name, (init, run) in runs(settings, steps).items():
            result, seconds = timed_projection(generator, image, space, init, run, loss, crop)
            metrics = reconstruction_metrics(result.image, image, distances)
            rows.append({"image": image_name, "run": name, "seconds": seconds, **metrics})
            click.echo(json.dumps(rows[-1], sort_keys=True))

    # Means over the images.
    means = {
        name: {
            key: statistics.mean(row[key] for row in rows if row["run"] == name) for key in REPORTED
        }
        for name in runs(settings, steps)
    }
    for name, values in means.items():
        click.echo(f"{name:28} " + "  ".join(f"{key} {value:.4f}" for key, value in values.items()))

    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps(
            {"torch": torch.__version__, "space": space, "rows": rows, "means": means}, indent=2
        )
    )


if __name__ == "__main__":
    main()
