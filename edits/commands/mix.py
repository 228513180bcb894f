"""`invert mix`: a region of one latent in another."""

from __future__ import annotations

from pathlib import Path

import click

from invert.commands.command import Command
from invert.commands.destinations import claim, with_twin
from invert.commands.opening import open_latents
from invert.commands.options import (
    FILE,
    device_option,
    force_option,
    latent_network_option,
    output_option,
    overwrite_option,
)
from invert.commands.parsing import parse_shift
from invert.commands.writing import write_edited


@click.command(cls=Command)
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@click.option(
    "--mask",
    "mask_file",
    metavar="FILE",
    type=FILE,
    required=True,
    help="A picture: white takes B, black keeps A, grey blends; not one of class numbers.",
)
@click.option(
    "--keep-styles",
    metavar="K",
    default=0,
    show_default=True,
    help="Keep the last K styles of A, and so its colours.",
)
@click.option(
    "--shift",
    metavar="DX,DY",
    default="0,0",
    show_default=True,
    help="Move B right and down first, in feature cells.",
)
@click.option(
    "--feather",
    metavar="PIXELS",
    default=0.0,
    show_default=True,
    help="Soften the edges of the mask over this width.",
)
@output_option
@overwrite_option
@latent_network_option
@force_option
@device_option
def mix(
    a: Path,
    b: Path,
    mask_file: Path,
    keep_styles: int,
    shift: str,
    feather: float,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    force: bool,
    device: str,
) -> None:
    """Put a region of latent B into latent A.

    The result is one latent, A+B.pt, and its picture. Blending happens in latent
    space: styles and features inside the mask are those of B.

    \b
    Example:
      invert mix a.pt b.pt --mask mask.png
    """
    from edits.mixer import mix as mix_latents
    from invert.images.images import read_mask

    cells = parse_shift(shift)
    files = with_twin(output or Path(f"{a.with_suffix('')}+{b.stem}.png"))
    destinations = claim(
        "mix", files, latents=[a, b], settings=[mask_file, network], overwrite=overwrite
    )

    generator, [first, second] = open_latents([a, b], network, device, force=force)
    height, width = generator.check(first).image
    mask = read_mask(mask_file, (width, height))
    mixed = mix_latents(
        generator, first, second, mask, keep_styles=keep_styles, shift=cells, feather=feather
    )
    write_edited(generator, mixed, destinations)
