"""`invert generate` and `invert render`: seeds and latents to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.commands.opening import load_latent, network_of, newest, open_generator
from invert.commands.options import (
    FILE,
    class_option,
    device_option,
    force_option,
    latent_network_option,
    network_option,
    noise_option,
    psi_option,
)
from invert.commands.parsing import check_seed, parse_seeds
from invert.commands.terminal import say
from invert.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from invert.generator import Generator


@click.command()
@network_option
@click.option("--seeds", default="0", show_default=True, help="For example 0-3,7.")
@psi_option
@class_option
@click.option("--space", default="W", show_default=True, help="Space of the latents that are written.")
@click.option("--out", type=FILE, default=Path("."), help="Folder; the current one by default.")
@noise_option
@device_option
def generate(
    network: str, seeds: str, psi: float, label: int | None, space: str, out: Path, noise: Any, device: str
) -> None:
    """Sample images: seedNNNN.png and seedNNNN.pt.

    \b
    Example:  invert generate --seeds 0-3 --psi 0.7 --out samples
    """
    from invert.images import write_png

    chosen = parse_seeds(seeds)
    generator = open_generator(network, device)
    out.mkdir(parents=True, exist_ok=True)
    for seed in chosen:
        latent = generator.sample(seed, psi=psi, label=label, space=space)
        path = out / f"seed{seed:04d}.png"
        write_png(generator.render(latent, noise), path)
        latent.save(path.with_suffix(".pt"))
        say(path)


@click.command()
@click.argument("latents", nargs=-1, type=FILE)
@latent_network_option
@click.option("-o", "--output", type=FILE, help="PNG file; NAME.render.png by default.")
@click.option("--into", "photograph", type=FILE, help="Put the picture back into the photograph it was cut from.")
@noise_option
@click.option("--seed", type=int, default=0, show_default=True, help="For --noise random.")
@force_option
@device_option
def render(
    latents: tuple[Path, ...], network: str | None, output: Path | None, photograph: Path | None, noise: Any, seed: int,
    force: bool, device: str,
) -> None:  # fmt: skip
    """Draw latent files; without one, the newest projection in this folder.

    \b
    Example:  invert render portrait.pt -o again.png
              invert render friends.smile+3.pt --into friends.jpg -o smiling.png
    """
    from invert.images import read_image, write_png
    from invert.latents import Latent
    from invert.pasting import paste

    chosen = list(latents) or [newest()]
    if output is not None and len(chosen) > 1:
        raise UsageError(f"--output takes one latent, got {len(chosen)}; leave it out for NAME.render.png")
    if photograph is not None and output is not None and output.resolve() == photograph.resolve():
        raise UsageError(f"--output is the photograph itself; it would be lost, write to another name than {output}")
    whole = read_image(photograph) if photograph is not None else None
    generator: Generator | None = None
    opened = ""
    for path in chosen:
        wanted = network or network_of(Latent.load(path))
        if generator is None or wanted != opened:
            generator, opened = open_generator(wanted, device), wanted
        latent = load_latent(path, generator, force)
        images = generator.render(latent, noise, seed=check_seed(seed))
        target = output or Path(f"{path.with_suffix('')}.render.png")
        for k, image in enumerate(images):
            where = target if len(images) == 1 else target.with_name(f"{target.stem}.{k}{target.suffix}")
            picture: Image.Image | Tensor = image[None]
            if whole is not None:
                picture = paste(whole, image[None], latent.metadata.get("image", {}))
            write_png(picture, where)
            say(where)
