"""`invert mix`: a region of one latent in another."""

from __future__ import annotations

from pathlib import Path

import click

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


@click.command()
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@click.option(
    "--mask",
    "mask_file",
    type=FILE,
    required=True,
    help="White takes b, black keeps a, grey mixes; no label map.",
)
@click.option(
    "--keep-styles",
    default=0,
    show_default=True,
    help="The last k styles stay a's, which keeps its colours.",
)
@click.option(
    "--shift",
    default="0,0",
    show_default=True,
    help="Move b right and down by dx,dy feature cells first.",
)
@click.option(
    "--feather",
    default=0.0,
    show_default=True,
    help="Width in pixels of soft edges for a hard mask.",
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
    """Put the masked region of one latent into another, in latent space.

    \b
    Example:  invert mix a.pt b.pt --mask mask.png
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
