"""Time and peak memory of a picture of any size, rendered and written in tiles.

    python benchmarks/tiles.py 16384x16384
    python benchmarks/tiles.py 4096x4096 --network NETWORK --tile 256

Without a network it is an untrained one of 64 px with 32 channels, which starts from a sampled
F_3. The picture goes to a temporary file. Prints its megapixels, the seconds that it took, those of
the processor, and the peak memory of the process.
"""

from __future__ import annotations

import resource
import tempfile
import time

import click
import numpy as np
import torch

import invert
from invert.checkpoints import Checkpoint
from invert.checkpoints.checkpoint import stylegan2_config
from invert.commands.bars import counted
from invert.commands.planes import parse_view
from invert.generator import Generator
from invert.images.images import to_pil
from invert.images.png_rows import write_png_rows
from invert.latent_maps.kinds import new_latent_map
from invert.loading import generator_from_checkpoint
from invert.networks.initialize import untrained_stylegan2
from invert.tiling.placed_parts import plane_of_seed
from invert.tiling.tiles import TILE, render_rows

CHANNELS = 32


def untrained() -> Generator:
    """A generator of FNZ_3."""
    latent_map = new_latent_map("blurred", CHANNELS, 8)
    tensors = untrained_stylegan2(64, channel_max=CHANNELS, first=3, latent_map=latent_map)
    config = stylegan2_config(latent_map=latent_map)
    return generator_from_checkpoint(Checkpoint("stylegan2", "invert", config, tensors))


def peak_memory() -> float:
    """The most memory that the process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@click.command()
@click.argument("size", default="2048x2048")
@click.option("--network", help="Default: an untrained one.")
@click.option("--tile", default=TILE, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(size: str, network: str | None, tile: int, threads: int) -> None:
    invert.keep_large_blocks()
    torch.set_num_threads(threads)
    generator = untrained() if network is None else invert.load_generator(network)
    view = parse_view(size, None, 2, 20.0, "webp")
    assert view is not None
    assert view.size is not None
    height, width = view.size

    # Rendered and written as `invert generate --size` does it.
    parts = plane_of_seed(generator, 0, psi=0.7)
    before, began, worked = peak_memory(), time.monotonic(), time.process_time()
    rows = render_rows(generator.network, parts, view.size, tile)
    strips = (np.asarray(to_pil(strip)[0]) for strip in counted(rows, -(-height // tile), "row"))
    with tempfile.TemporaryFile() as file:
        write_png_rows(file, view.size, strips, None)
        written = file.tell()

    seconds, busy = time.monotonic() - began, time.process_time() - worked
    megapixels = height * width / 1e6
    print(f"picture       {width}×{height} px, {megapixels:.1f} Mpx, {written / 1e6:.1f} MB")
    print(f"time          {seconds:.0f} s, processor {busy:.0f} s, {busy / megapixels:.2f} s/Mpx")
    print(f"peak memory   {peak_memory():.2f} GiB, {before:.2f} GiB before")


if __name__ == "__main__":
    main()
