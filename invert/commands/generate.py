"""`invert generate`: seeds to pictures, and to planes without end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from invert.commands.batch import Batch
from invert.commands.command import Command
from invert.commands.destinations import check_folder, claim, with_twin
from invert.commands.opening import open_generator
from invert.commands.options import (
    FILE,
    class_option,
    device_option,
    network_option,
    noise_option,
    overwrite_option,
    psi_option,
    was_given,
)
from invert.commands.parsing import check_range, parse_seeds
from invert.commands.planes import parse_view, plane, write_view
from invert.commands.terminal import say
from invert.commands.writing import write_shown
from invert.errors import UsageError


@click.command(
    cls=Command,
    sections={"Plane of a seed": ("size", "style_every", "pan", "count", "fps", "animation")},
)
@network_option
@click.option("--seeds", metavar="SEEDS", default="0", show_default=True, help="For example 0-3,7.")
@psi_option
@class_option
@click.option(
    "--space",
    metavar="SPACE",
    help="Space of the latents: Z, W, W+, FNW5, … Default: W, or FNW3 and the like where "
    "the latent is a map.",
)
@click.option(
    "--out", metavar="FOLDER", type=FILE, default=Path("."), help="Default: the current folder."
)
@overwrite_option
@click.option("--size", metavar="WxH", help="Size in pixels, as large as you like.")
@click.option(
    "--style-every",
    metavar="PIXELS",
    type=int,
    help="Change the style over the plane: a w every so many pixels.",
)
@click.option("--pan", metavar="DX,DY", help="Animate the way so many pixels right and down.")
@click.option(
    "--frames", "count", metavar="N", default=60, show_default=True, help="Frames of the way."
)
@click.option("--fps", metavar="RATE", default=20.0, show_default=True, help="Frames per second.")
@click.option(
    "--animation",
    type=click.Choice(["webp", "gif", "mp4"]),
    default="webp",
    show_default=True,
    help="Format of the way.",
)
@noise_option
@device_option
def generate(
    network: str,
    seeds: str,
    psi: float,
    label: int | None,
    space: str | None,
    out: Path,
    overwrite: bool,
    size: str | None,
    style_every: int | None,
    pan: str | None,
    count: int,
    fps: float,
    animation: str,
    noise: Any,
    device: str,
) -> None:
    """Sample images from seeds.

    For each seed this writes seedNNNN.png and its latent, seedNNNN.pt.

    A generator whose latent is a map has a plane without end for each seed. --size
    writes a part of any size, seedNNNN.WxH.png, from the top left: a larger part
    contains the smaller one. It is rendered in tiles and has no latent. --pan
    travels over the plane and writes seedNNNN.pan.webp. The space of a plane is FNW3
    or FNZ3 if the generator starts at layer 3, and its noise is random unless --noise
    is given.

    \b
    Examples:
      invert generate --seeds 0-3 --psi 0.7 --out samples
      invert generate --network earth-64 --size 8192x4096
      invert generate --network earth-64 --pan 2048,0 --frames 120
    """
    from invert.latents.spaces import Space

    target = Space.parse(space or "W")
    if target.base == "Z" and not was_given("psi"):
        psi = 1.0  # z is drawn before any truncation

    # Where the files of each seed go.
    view = parse_view(size, pan, count, fps, animation)
    if style_every is not None:
        check_range("style-every", style_every, 1, 1_000_000)
        if view is None:
            raise UsageError("--style-every is about a plane; give --size or --pan with it")
    if pan is None:
        for option, name in (("count", "frames"), ("fps", "fps"), ("animation", "animation")):
            if was_given(option):
                raise UsageError(f"--{name} is about an animation; give --pan with it")
    chosen = {}
    for seed in parse_seeds(seeds):
        picture = out / f"seed{seed:04d}.png"
        chosen[seed] = with_twin(picture) if view is None else (view.file(picture),)
    check_folder(out)
    claimed = [
        claim("generate", files, latents=[seed], network=network, overwrite=overwrite)
        for seed, files in chosen.items()
    ]

    generator = open_generator(network, device)
    if space is None and generator.network.latent_map is not None:
        target = Space.parse(f"FNW{generator.network.first}")  # every seed its own layout
    batch = Batch(len(chosen), "seeds")
    for seed, destinations in zip(chosen, claimed, strict=True):
        with batch.attempt(f"seed {seed}"):
            if view is not None:
                typed = None if space is None else target
                mode = noise if was_given("noise") else "random"
                parts = plane(
                    generator,
                    seed,
                    typed,
                    psi=psi,
                    label=label,
                    noise=mode,
                    style_every=style_every,
                )
                write_view(generator, parts, view, destinations)
                continue
            latent = generator.sample(seed, psi=psi, label=label, space=target)
            write_shown(generator.render(latent, noise), latent, destinations)
            say(destinations.outputs[0])
    batch.finish()
