"""Files that commands leave, named on stdout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from invert.commands.bars import counted
from invert.commands.terminal import say
from invert.errors import UsageError

if TYPE_CHECKING:
    from invert.generator import Generator
    from invert.latents import Latent


def write_edited(generator: Generator, latent: Latent, output: Path) -> None:
    """Write the latent and its picture under one name, whichever of the two was named."""
    from invert.images import write_png

    if output.suffix not in (".png", ".pt", ".safetensors"):
        raise UsageError(f"{output}: expected a name that ends in .png, .pt or .safetensors")
    stem, suffix = output.with_suffix(""), ".pt" if output.suffix == ".png" else output.suffix
    write_png(generator.render(latent), Path(f"{stem}.png"))
    latent.save(Path(f"{stem}{suffix}"))
    say(f"{stem}.png")
    say(f"{stem}{suffix}")


def write_pictures(generator: Generator, latents: Sequence[Latent | None], columns: int, output: Path) -> None:
    """Write the pictures of latents, of one size, as rows of one PNG; None leaves a white place."""
    from PIL import Image

    from invert.images import check_suffix, to_picture, write_png

    check_suffix(output, ".png")
    height, width = generator.check(next(x for x in latents if x is not None)).image
    sheet = Image.new("RGB", (columns * width, -(-len(latents) // columns) * height), "white")
    for k, latent in enumerate(counted(latents, len(latents), "image")):
        if latent is not None:
            sheet.paste(to_picture(generator.render(latent)), (k % columns * width, k // columns * height))
    write_png(sheet, output)
    say(output)
