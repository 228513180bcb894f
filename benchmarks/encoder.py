"""What an encoder is worth: its own picture, and a projection that starts from it, against the
two-stage start.

    python benchmarks/encoder.py                      # the portrait and nine generated faces, FNW5
    python benchmarks/encoder.py --faces 0 --steps 50
    python benchmarks/encoder.py --faces 1 --first-seed 2003 --set beta2=0.999  # one setting
    python benchmarks/encoder.py --alone                        # the encoder itself, in two minutes
    python benchmarks/encoder.py --alone --encoder FILE         # another one

Generated faces are seeds 1000, 1001, … (`--first-seed`) at psi 0.7 with random noise, which no
encoder was trained on. Three projections per image with the default settings: from the encoder in 0
steps (its seconds are encoding and rendering), from the encoder in `--steps`, and from two stages
in all their steps. Prints one line per projection, and means. Needs an encoder for the network and
layer.

`--alone` measures what the encoder sees, without projecting: the portrait, and 64 generated faces
(sample seed 3, which no encoder was trained on). For both it gives the distances of the encoding's
image (0 steps, constant noise) at the encoder's size, for the faces also the shares of variance
missed; and the seconds that encoding one photograph takes. LPIPS is measured where its weights are
in the cache (`invert download lpips-alex lpips-vgg`).
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
from invert.encoders.encoder import Encoder
from invert.encoders.encoder_files import bundled_encoder, load_encoder
from invert.encoders.held_out import HeldOut
from invert.encoders.image_terms import ImageTerms
from invert.encoders.samples import Samples
from invert.encoders.spread import measure_spread
from invert.encoders.training import STATISTICS_COUNT
from invert.errors import UsageError
from invert.generator import Generator
from invert.images.images import area_downscale, read_image, to_tensor
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance, load_perceptual
from invert.metrics.reconstruction import reconstruction_metrics
from invert.projection.initialization import InitName, possible_inits
from invert.projection.projector import Projection, project
from invert.projection.settings import ProjectionSettings, preset
from invert.weights import cached

DISTANCES = ("st-lpips-vgg", "st-lpips-alex")
IF_THERE = ("lpips-alex", "lpips-vgg")
HELD_OUT_SEED = 3
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


def alone(
    generator: Generator, encoder: Encoder, portrait: Tensor, faces: int
) -> dict[str, dict[str, float]]:
    """What the encoder sees in the portrait and in generated faces, and how fast."""
    names = [*DISTANCES, *(name for name in IF_THERE if cached(name))]
    distances = [load_perceptual(name) for name in names]
    side, layer = encoder.shape.input_side, encoder.shape.layer
    samples = Samples(generator, layer, HELD_OUT_SEED)
    held_out = HeldOut(
        samples, measure_spread(samples, STATISTICS_COUNT), side, faces, faces, distances
    )

    # The portrait, timed the second time.
    encoder.encode(generator, portrait)
    wall, cpu = time.perf_counter(), time.process_time()
    latent = encoder.encode(generator, portrait)
    seconds = {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "threads": float(torch.get_num_threads()),
    }
    image, target = (
        area_downscale(x, held_out.renderer.size) for x in (generator.render(latent), portrait)
    )
    with torch.inference_mode():
        measured = ImageTerms(distances)(image, target)
    shown = {name: value.item() for name, value in measured.items()}
    return {"portrait": {**shown, **seconds}, f"{faces} faces": held_out.measure(encoder)}


def report_alone(
    generator: Generator, file: Path | None, layer: int, portrait: Path, faces: int, out: Path
) -> None:
    """Print and write what the encoder in a file, by default the package's, is worth alone."""
    file = file or bundled_encoder(generator, layer)
    if file is None:
        raise UsageError(f"no encoder for {generator.name} and layer {layer}; give one (--encoder)")
    encoder = load_encoder(file, generator)
    measured = alone(generator, encoder, to_tensor(read_image(portrait)), faces)
    for name, values in measured.items():
        click.echo(f"{name:10} " + "  ".join(f"{key} {value:.4f}" for key, value in values.items()))
    write_results(out, {"torch": torch.__version__, "encoder": file.name, **measured})


def write_results(out: Path, results: dict[str, Any]) -> None:
    """Write them as JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=2))


@click.command()
@click.option("--network", default="ffhq-mobile")
@click.option("--portrait", type=click.Path(path_type=Path), default=Path("examples/portrait.png"))
@click.option("--faces", type=int, help="Generated faces. Default: 9, or 64 with --alone.")
@click.option("--first-seed", default=FIRST_SEED)
@click.option("--space", default="FNW5")
@click.option("--steps", default=100)
@click.option(
    "--set", "changed", multiple=True, metavar="NAME=VALUE", help="A field of ProjectionSettings."
)
@click.option("--alone", "by_itself", is_flag=True, help="The encoder without projections.")
@click.option("--encoder", "file", type=click.Path(path_type=Path), help="For --alone.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/encoder.json"))
def main(
    network: str, portrait: Path, faces: int | None, first_seed: int, space: str, steps: int,
    changed: tuple[str, ...], by_itself: bool, file: Path | None,
    out: Path,
) -> None:  # fmt: skip
    invert.keep_large_blocks()
    generator = invert.load_generator(network)
    if by_itself:
        layer = Space.parse(space).first
        report_alone(generator, file, layer, portrait, 64 if faces is None else faces, out)
        return
    faces = 9 if faces is None else faces
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

    write_results(out, {"torch": torch.__version__, "space": space, "rows": rows, "means": means})


if __name__ == "__main__":
    main()
