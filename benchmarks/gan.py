"""Images per second of `invert train gan`, on whatever device there is.

    python benchmarks/gan.py
    python benchmarks/gan.py --size 64 --widths 1024,64 --widths 32768,512 --batch 16 --steps 16

A width is channel_base,channel_max; 32768,512 is StyleGAN2's own. Crops are of random pixels.
Prints real images per second over steps of all kinds (R1 and path length included), in bfloat16 and
in float32, and the peak memory of the process, or of the device where that counts its own.
"""

from __future__ import annotations

import resource
import time

import click
import numpy as np
import torch

import invert
from invert.gan.crops import Crops
from invert.gan.settings import GanSettings
from invert.gan.training import GanTraining

SIDE = 1024  # pixels of the picture that crops are cut from


def images_per_second(settings: GanSettings, device: torch.device, steps: int) -> float:
    """Real images per second, after one step that is not counted."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    training = GanTraining(settings, Crops([pixels], settings.crops), device)
    training.update()
    wait(device)

    # A multiple of 16 steps has one R1 and four path length penalties in 16.
    began = time.perf_counter()
    for _ in range(steps):
        training.update()
    wait(device)
    return steps * settings.batch / (time.perf_counter() - began)


def wait(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()


def peak_memory(device: torch.device) -> float:
    """GiB of the device, or of the process on a CPU."""
    if device.type == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return torch.get_device_module(device).max_memory_allocated() / 2**30


@click.command()
@click.option("--size", default=64, show_default=True)
@click.option("--widths", multiple=True, default=("1024,64",), show_default=True)
@click.option("--batch", default=16, show_default=True)
@click.option("--space", default="FNZ3", show_default=True)
@click.option("--steps", default=16, show_default=True)
@click.option("--threads", default=0, help="Of the CPU; 0: as many as torch takes.")
@click.option("--device", default="cuda" if torch.cuda.is_available() else "cpu")
def main(
    size: int,
    widths: tuple[str, ...],
    batch: int,
    space: str,
    steps: int,
    threads: int,
    device: str,
) -> None:
    invert.keep_large_blocks()
    if threads:
        torch.set_num_threads(threads)
    chosen = torch.device(device)
    click.echo(f"torch {torch.__version__}, {chosen}, {torch.get_num_threads()} threads of the CPU")

    for pair in widths:
        base, most = (int(part) for part in pair.split(","))
        for half in (True, False):
            settings = GanSettings(
                space=space,
                resolution=size,
                channel_base=base,
                channel_max=most,
                batch=batch,
                half=half,
            )
            speed = images_per_second(settings, chosen, steps)
            click.echo(
                f"{size} px, {space}, widths {pair}, batch {batch}, "
                f"{'bfloat16' if half else 'float32'}: {speed:.1f} images per second, "
                f"{peak_memory(chosen):.2f} GiB"
            )


if __name__ == "__main__":
    main()
