"""`invert edit`: a latent along directions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.commands.destinations import claim, with_suffix_of, with_twin
from invert.commands.opening import newest, open_latents, open_layers
from invert.commands.options import (
    FILE,
    device_option,
    force_option,
    latent_network_option,
    overwrite_option,
)
from invert.commands.parsing import parse_strip
from invert.commands.terminal import say
from invert.commands.writing import write_edited, write_picture
from invert.errors import UsageError

if TYPE_CHECKING:
    from edits.along_direction import EditStep
    from invert.latents.latent import Latent

DEFAULT_STRENGTH = 3.0  # steps


@click.command()
@click.argument("latent", required=False, type=FILE)
@click.option(
    "--direction",
    "names",
    multiple=True,
    required=True,
    help="A name (`invert directions list`) or a direction file.",
)
@click.option(
    "--strength",
    "strengths",
    multiple=True,
    type=float,
    help="In steps; one per direction. 3 by default.",
)
@click.option(
    "--layers",
    help="Style indices a-b (b excluded), or coarse, middle, fine; the direction's by default.",
)
@click.option(
    "--mask", "mask_file", type=FILE, help="Only where this picture is white; no label map."
)
@click.option(
    "--carry",
    default="auto",
    show_default=True,
    help="How F_i follows the styles: repaint (by the companion; what was fitted moves along and gives way), "
    "difference (by the companion alone), model (a trained attribute model, or its file), styles (it does not). "
    "auto is the first that this latent allows, and says which.",
)
@click.option(
    "--strip", help="first:last:count strengths of one direction as one picture, like -3:3:7."
)
@click.option("-o", "--output", type=FILE, help="PNG or .pt; both are written, beside the latent.")
@overwrite_option
@latent_network_option
@force_option
@device_option
def edit(
    latent: Path | None,
    names: tuple[str, ...],
    strengths: tuple[float, ...],
    layers: str | None,
    mask_file: Path | None,
    carry: str,
    strip: str | None,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    force: bool,
    device: str,
) -> None:
    """Move a latent along directions; without one, the newest projected in this folder.

    \b
    Example:  invert edit --direction smile --strength -3
    """
    from directions.catalog import find
    from edits import along_direction
    from edits.feature_edits import OLD_NAMES
    from invert.images.comparison import hstack
    from invert.images.images import read_mask, to_pil

    chosen = [find(name) for name in names]
    amounts = list(strengths) or [DEFAULT_STRENGTH] * len(chosen)
    if len(amounts) != len(chosen):
        raise UsageError(
            f"expected one --strength per --direction, got {len(amounts)} for {len(chosen)}"
        )
    sweep = parse_strip(strip) if strip else None
    if sweep and len(chosen) > 1:
        raise UsageError("--strip takes one direction")
    path = latent or newest()
    stem = path.with_suffix("")
    label = "".join(f".{d.name}{s:+g}" for d, s in zip(chosen, amounts, strict=True))
    files: tuple[Path, ...]
    if sweep:
        files = (with_suffix_of(output or Path(f"{stem}.{chosen[0].name}.strip.png"), ".png"),)
    else:
        files = with_twin(output or Path(f"{stem}{label}.png"))
    settings = [*names, mask_file, carry, network]
    destinations = claim("edit", files, latents=[path], settings=settings, overwrite=overwrite)
    generator, [start] = open_latents([path], network, device, force=force)
    for direction in chosen:
        direction.check_generator(generator)
    limits = open_layers(generator, layers)
    height, width = generator.check(start).image
    mask = read_mask(mask_file, (width, height)) if mask_file else None

    def report(step: EditStep) -> None:
        if step.stage == "companion":
            say(f"{path}: made without a companion; looking for one, which takes seconds", err=True)
        elif features == "auto":
            faces = faces_found(step.latent) if step.features == "residual" else ""
            say(f"{step.direction.name}: features edited by {step.features}{faces}", err=True)

    features = OLD_NAMES.get(carry, carry)
    options: dict[str, Any] = {
        "styles": limits,
        "features": features,
        "mask": mask,
        "callback": report,
    }
    if sweep:
        edited = along_direction.sweep(generator, start, chosen[0], sweep, **options)
        write_picture(hstack([to_pil(generator.render(x))[0] for x in edited]), destinations)
    else:
        result = start
        for direction, strength in zip(chosen, amounts, strict=True):
            result = along_direction.edit(generator, result, direction, strength, **options)
        write_edited(generator, result, destinations)


def faces_found(latent: Latent) -> str:
    """For the message about a canvas: on how many faces an edit acts."""
    if latent.companion is None or latent.companion.windows is None:
        return ""
    count = latent.companion.windows.shape[1]
    return f", {count} face{'s' if count > 1 else ''} found"
