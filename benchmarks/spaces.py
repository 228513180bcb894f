"""Projections into several spaces at equal steps, from the same start: quality, distances, memory,
stability.

    python benchmarks/spaces.py --faces 5 --spaces FNW5,FNSW5         # portrait and five faces
    python benchmarks/spaces.py --faces 0 --spaces FSW5 --steps 1000  # divergence, memory
    python benchmarks/spaces.py --faces 0 --spaces FNW5 --set crop_weight=0  # one setting changed

Generated faces are seeds 1000, 1001, … (`--first-seed`) at psi 0.7 with random noise. Each image
gets one start in NW+ (W+ for spaces without noise), which every space opens; so they differ in
nothing else. Prints one line per projection and mean ratios to the first space. "tiles" is the mean
ST-LPIPS-alex of the full-size image's 256 px tiles: textures that the downscaled image of the other
distances does not show.
"""

from __future__ import annotations

import contextlib
import json
import resource
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

import invert
from invert.generator import Generator
from invert.images.images import read_image, to_pil, to_tensor, write_png
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance, load_perceptual
from invert.metrics.reconstruction import projection_metrics
from invert.projection.projector import Projection, Step, project
from invert.projection.settings import preset

FIRST_SEED = 1000
PSI = 0.7  # truncation of generated faces
TILE = 256  # pixels


def targets(
    generator: Generator, portrait: Path, faces: int, first_seed: int = FIRST_SEED
) -> dict[str, Tensor]:
    """Name → image [1, 3, H, W]: the photograph, then generated faces."""
    images = {portrait.stem: to_tensor(read_image(portrait))}
    for seed in range(first_seed, first_seed + faces):
        images[f"seed{seed}"] = generator.render(
            generator.sample(seed, psi=PSI), "random", seed=seed
        ).clamp(-1, 1)
    return images


def number(text: str) -> int | float | str:
    """A number where the text is one."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def fields(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE texts as fields of the settings."""
    return {key: number(text) for key, text in (pair.split("=") for pair in pairs)}


def peak_gib() -> float:
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024)
        / 2**30
    )


def tile_distance(image: Tensor, target: Tensor, distance: PerceptualDistance) -> float:
    """Mean distance of the tiles of two images at full size."""
    size = min(TILE, *image.shape[2:])
    # [1, 3, r, c, h, w]
    tiles = [t.clamp(-1, 1).unfold(2, size, size).unfold(3, size, size) for t in (image, target)]
    rows = (t.permute(2, 3, 0, 1, 4, 5).flatten(0, 2).split(1) for t in tiles)
    with torch.inference_mode():
        return statistics.mean(distance(a, b).item() for a, b in zip(*rows, strict=True))


def worst_after(result: Projection, fraction: float = 0.1) -> float:
    """Largest perceptual distance after the first tenth of the steps, over the best: near 1 unless
    it diverges.
    """
    late = [s.perceptual for s in result.history[int(len(result.history) * fraction) :]]
    return max(late) / min(late)


@click.command()
@click.option("--network", default="ffhq-mobile")
@click.option("--portrait", type=click.Path(path_type=Path), default=Path("examples/portrait.png"))
@click.option("--faces", default=5)
@click.option("--first-seed", default=FIRST_SEED)
@click.option("--spaces", default="FNW5,FNSW5")
@click.option("--preset", "name", default="fast")
@click.option("--steps", type=int)
@click.option("--init-steps", type=int)
@click.option(
    "--set", "changed", multiple=True, metavar="NAME=VALUE", help="A field of ProjectionSettings."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/spaces"))
def main(
    network: str,
    portrait: Path,
    faces: int,
    first_seed: int,
    spaces: str,
    name: str,
    steps: int | None,
    init_steps: int | None,
    changed: tuple[str, ...],
    out: Path,
) -> None:
    invert.keep_large_blocks()
    out.mkdir(parents=True, exist_ok=True)
    generator = invert.load_generator(network)
    distances = [load_perceptual(n) for n in ("st-lpips-vgg", "st-lpips-alex")]
    chosen = spaces.split(",")
    rows: list[dict[str, Any]] = []

    def tell(step: Step) -> None:
        if step.step % 50 == 0:
            click.echo(
                f"  {step.stage} {step.step}: perceptual {step.perceptual:.4f} mse {step.mse:.4f}",
                err=True,
            )

    # Every image from one init, in each space.
    for image_name, image in targets(generator, portrait, faces, first_seed).items():
        changes = {k: v for k, v in (("steps", steps), ("init_steps", init_steps)) if v is not None}
        settings = preset(name, chosen[0]).replace(**changes, **fields(changed))
        starts: dict[bool, Latent] = {}
        for space in chosen:
            noise = Space.parse(space).noise
            if noise not in starts:
                flat = Space("W+", noise=noise)
                starts[noise] = project(
                    generator, image, flat, settings=settings.for_init(), callback=tell
                ).latent
            result = project(
                generator, image, space, settings=settings, init=starts[noise], callback=tell
            )
            row: dict[str, Any] = {
                "image": image_name,
                "space": space,
                **projection_metrics(generator, result.latent, result.image, image, distances),
                "tiles": tile_distance(result.image, image, distances[1]),
                "best_step": result.best_step,
                "stop_reason": result.stop_reason,
                "worst_over_best": worst_after(result),
                "seconds_per_step": result.history[-1].seconds / max(settings.steps, 1),
                "peak_gib": peak_gib(),
            }
            rows.append(row)
            write_png(to_pil(result.image)[0], out / f"{image_name}-{space}.png")
            click.echo(json.dumps(row, sort_keys=True))

    # Mean ratios to the first space.
    summary: dict[str, Any] = {"torch": torch.__version__, "rows": rows, "ratios": {}}
    for space in chosen[1:]:
        for key in ("st-lpips-vgg", "mse"):
            pairs = zip(
                *([r[key] for r in rows if r["space"] == s] for s in (space, chosen[0])),
                strict=True,
            )
            ratio = statistics.mean(a / b for a, b in pairs)
            summary["ratios"][f"{space} / {chosen[0]} {key}"] = ratio
            click.echo(f"{space} / {chosen[0]}  {key}: {ratio:.3f}")
    (out / "spaces.json").write_text(json.dumps(summary, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
