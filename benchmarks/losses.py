"""Which perceptual distance serves best as the term of the whole image: LPIPS or ST-LPIPS.

    OMP_NUM_THREADS=1 python benchmarks/losses.py  # three faces, 60 steps
    python benchmarks/losses.py --loss lpips-vgg:0.3 --faces 1

Generated faces are seeds 2000, 2001, … at psi 0.7 with random noise, projected from the default
init with the settings of "fast" but for the term's distance and weight (`--loss NAME:WEIGHT`,
several times). Prints a line per projection and means: every distance at 256 px, "tiles" (textures
at full size, see spaces.py), squared error and processor seconds. Pictures go to `--pictures`.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import click
from spaces import targets, tile_distance

import invert
from invert.images.images import write_png
from invert.metrics.perceptual import load_perceptual
from invert.metrics.reconstruction import reconstruction_metrics
from invert.projection.settings import preset

LOSSES = ("st-lpips-alex:1", "lpips-alex:1")
DISTANCES = ("st-lpips-vgg", "st-lpips-alex", "lpips-vgg", "lpips-alex")
REPORTED = (*DISTANCES, "tiles", "mse", "processor seconds")


@click.command()
@click.option("--network", default="ffhq-mobile")
@click.option("--portrait", type=click.Path(path_type=Path), default=Path("examples/portrait.png"))
@click.option("--faces", default=3)
@click.option("--first-seed", default=2000)
@click.option("--space", default="FNW5")
@click.option("--steps", default=60)
@click.option("--loss", "losses", multiple=True, default=LOSSES, metavar="NAME:WEIGHT")
@click.option("--pictures", type=click.Path(path_type=Path), default=Path("out/losses"))
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/losses.json"))
def main(
    network: str,
    portrait: Path,
    faces: int,
    first_seed: int,
    space: str,
    steps: int,
    losses: tuple[str, ...],
    pictures: Path,
    out: Path,
) -> None:
    invert.keep_large_blocks()
    generator = invert.load_generator(network)
    distances = [load_perceptual(name) for name in DISTANCES]
    by_name = {distance.name: distance for distance in distances}
    pictures.mkdir(parents=True, exist_ok=True)

    # The photograph comes first, and is none of those that settings are chosen on.
    images = targets(generator, portrait, faces, first_seed)
    del images[portrait.stem]

    rows: list[dict[str, Any]] = []
    for image_name, image in images.items():
        write_png(image, pictures / f"{image_name}.png")
        for loss in losses:
            name, weight = loss.split(":")
            settings = preset("fast", space).replace(
                steps=steps, perceptual=name, perceptual_weight=float(weight)
            )
            began = time.process_time()
            result = invert.project(
                generator,
                image,
                space,
                settings=settings,
                perceptual=by_name[name],
                crop_perceptual=by_name[settings.crop_perceptual],
            )
            seconds = time.process_time() - began

            metrics = reconstruction_metrics(result.image, image, distances)
            tiles = tile_distance(result.image, image, by_name["st-lpips-alex"])
            row = {"image": image_name, "loss": loss, "tiles": tiles, **metrics}
            rows.append({**row, "processor seconds": seconds})
            click.echo(json.dumps(rows[-1], sort_keys=True))
            write_png(result.image, pictures / f"{image_name}.{loss.replace(':', '-')}.png")

    means = {
        loss: {key: statistics.mean(r[key] for r in rows if r["loss"] == loss) for key in REPORTED}
        for loss in losses
    }
    for loss, values in means.items():
        click.echo(f"{loss:18} " + "  ".join(f"{key} {value:.5f}" for key, value in values.items()))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps({"space": space, "steps": steps, "rows": rows, "means": means}, indent=2)
    )


if __name__ == "__main__":
    main()
