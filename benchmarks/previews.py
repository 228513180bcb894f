"""How close smaller pictures (`Generator.preview`) are to the downscaled image, and what they cost.

    python benchmarks/previews.py
    python benchmarks/previews.py --faces 8 --network NETWORK --sizes 64,128

Faces are seeds 3000, 3001, … at psi 0.7 as points of FNW5. Prints the mean squared error per size,
the share of the picture's variance that this is, and processor seconds of a forward and a backward
pass to all parts of the point, in one thread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import click
import torch
from torch import Tensor

import invert
from invert.generator import Generator
from invert.images.images import area_downscale
from invert.latents.latent import Latent

FIRST_SEED = 3000
REPEATS = 3


def seconds(picture: Callable[[Latent], Tensor], latent: Latent) -> float:
    """Processor seconds of one forward and backward pass; the least of some."""
    times = []
    for _ in range(REPEATS):
        point = latent.map(lambda t: t.clone().requires_grad_())
        began = time.process_time()
        picture(point).square().mean().backward()
        times.append(time.process_time() - began)
    return min(times)


def errors(generator: Generator, latent: Latent, size: int) -> tuple[float, float]:
    """Mean squared error, and its share of the downscaled picture's variance."""
    preview = generator.preview(latent, size)
    true = area_downscale(generator.render(latent), (preview.shape[2], preview.shape[3]))
    error = (preview - true).square().mean().item()
    return error, error / true.var().item()


@click.command()
@click.option("--network", default="ffhq-mobile")
@click.option("--space", default="FNW5")
@click.option("--sizes", default="64,128,256,512")
@click.option("--faces", default=6)
def main(network: str, space: str, sizes: str, faces: int) -> None:
    invert.keep_large_blocks()
    torch.set_num_threads(1)
    generator = invert.load_generator(network)
    seeds = range(FIRST_SEED, FIRST_SEED + faces)
    latents = [generator.convert(generator.sample(seed, psi=0.7), space) for seed in seeds]
    latents = [latent.replace(companion=None) for latent in latents]

    for size in map(int, sizes.split(",")):
        pairs = [errors(generator, latent, size) for latent in latents]
        mse, share = (statistics.mean(values) for values in zip(*pairs, strict=True))
        cost = seconds(partial(generator.preview, size=size), latents[0])
        click.echo(f"{size:5} px  mse {mse:.5f}  share {share:.4f}  {cost:.2f} s")
    click.echo(f"{generator.resolution:5} px  {seconds(generator.render, latents[0]):40.2f} s")


if __name__ == "__main__":
    main()
