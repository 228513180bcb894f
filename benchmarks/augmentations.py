"""Milliseconds of the augmentations of `invert train gan`, beside kornia's where that is installed.

    python benchmarks/augmentations.py
    python benchmarks/augmentations.py --size 256 --batch 16 --threads 2

A batch is moved, turned, scaled and recoloured with probability 0.5 each, forward and backward; the
median of some repeats, in processor seconds.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable

import click
import torch
from torch import Tensor

from invert.gan.augmentation import augment

PROBABILITY = 0.5
REPEATS = 30


def ours() -> Callable[[Tensor], Tensor]:
    """Nine transformations as one map of places and one matrix of colours."""
    random = torch.Generator().manual_seed(0)
    return lambda images: augment(images, torch.tensor(PROBABILITY), random)


def kornias() -> Callable[[Tensor], Tensor]:
    """About as many of kornia's, with about the same ranges."""
    K = importlib.import_module("kornia.augmentation")
    made = K.AugmentationSequential(
        K.RandomAffine(180.0, translate=(0.125, 0.125), scale=(0.7, 1.4), p=PROBABILITY),
        K.ColorJitter(0.2, 0.5, 0.5, 0.5, p=PROBABILITY),
        data_keys=["input"],
    )
    return lambda images: 2 * made((images + 1) / 2) - 1


def milliseconds(transform: Callable[[Tensor], Tensor], images: Tensor) -> float:
    """The median of a pass forward and backward."""
    seconds = []
    for _ in range(REPEATS):
        seen = images.clone().requires_grad_()
        began = time.process_time()
        transform(seen).square().sum().backward()
        seconds.append(time.process_time() - began)
    return 1000 * statistics.median(seconds)


@click.command()
@click.option("--size", default=64, show_default=True)
@click.option("--batch", default=16, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(size: int, batch: int, threads: int) -> None:
    torch.set_num_threads(threads)
    images = 2 * torch.rand(batch, 3, size, size) - 1
    click.echo(f"ours    {milliseconds(ours(), images):.1f} ms")
    if importlib.util.find_spec("kornia") is None:
        click.echo("kornia  not installed")
    else:
        click.echo(f"kornia  {milliseconds(kornias(), images):.1f} ms")


if __name__ == "__main__":
    main()
