"""`invert edit`: a latent along directions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.commands.command import Command, Renamed
from invert.commands.destinations import claim, with_suffix_of, with_twin
from invert.commands.opening import newest, open_latents, open_styles
from invert.commands.options import (
    FILE,
    device_option,
    force_option,
    latent_network_option,
    output_option,
    overwrite_option,
)
from invert.commands.parsing import parse_strip, styles_of_layers
from invert.commands.terminal import say
from invert.commands.writing import write_edited, write_picture
from invert.errors import UsageError

if TYPE_CHECKING:
    from edits.along_direction import EditStep
    from invert.latents.latent import Latent

DEFAULT_STRENGTH = 3.0  # σ


def features_of_carry(value: str) -> str:
    """The value of --features for one of --carry, its old name."""
    from edits.feature_edit_names import OLD_NAMES

    return OLD_NAMES.get(value, value)


@click.command(
    cls=Command,
    renamed={
        "--carry": Renamed("--features", features_of_carry),
        "--layers": Renamed("--styles", styles_of_layers),
    },
)
@click.argument("latent", required=False, type=FILE)
@click.option(
    "--direction",
    "names",
    metavar="NAME|FILE",
    multiple=True,
    required=True,
    help="A name (`invert directions list`) or a direction file.",
)
@click.option(
    "--strength",
    "strengths",
    metavar="SIGMA",
    multiple=True,
    type=float,
    help="In σ, standard deviations of W along the direction; one per direction. Default: 3.",
)
@click.option(
    "--styles",
    metavar="A-B|NAME",
    help="Styles to edit: 0-7 (both included), coarse, middle or fine. Default: the direction's.",
)
@click.option(
    "--mask",
    "mask_file",
    metavar="FILE",
    type=FILE,
    help="Edit only where this picture is white; not one of class numbers.",
)
@click.option(
    "--features",
    metavar="HOW",
    default="auto",
    show_default=True,
    help="How F_i follows the styles: residual, difference, model, keep, the file of a model, "
    "or auto; see above.",
)
@click.option(
    "--strip",
    metavar="FIRST:LAST:COUNT",
    help="One picture of many strengths, like -3:3:7; one direction only.",
)
@output_option
@overwrite_option
@latent_network_option
@force_option
@device_option
def edit(
    latent: Path | None,
    names: tuple[str, ...],
    strengths: tuple[float, ...],
    styles: str | None,
    mask_file: Path | None,
    features: str,
    strip: str | None,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    force: bool,
    device: str,
) -> None:
    """Edit a latent along directions.

    LATENT is a latent file; by default the newest projection in this folder. The
    results are NAME.DIRECTION+STRENGTH.png and .pt beside it.

    In spaces with features, --features says how F_i follows the edited styles.
    The companion is a W+ code whose features approximate F_i:

    \b
      residual    as the companion's features change; what they do not explain,
                  the residual, is warped along and fades where they change much
      difference  as the companion's features change; the residual stays
      model       by a trained attribute model (`invert train attribute`)
      keep        not at all: only layers after F_i change
      auto        residual if the latent has a companion, else model

    \b
    Examples:
      invert edit --direction smile --strength -3
      invert edit portrait.pt --direction yaw --strip -3:3:7
    """
    from directions.catalog import find
    from edits import along_direction
    from invert.images.comparison import hstack
    from invert.images.images import read_mask, to_pil

    features = say_new_value(features)

    # One strength per direction, or a strip of one direction.
    chosen = [find(name) for name in names]
    amounts = list(strengths) or [DEFAULT_STRENGTH] * len(chosen)
    if len(amounts) != len(chosen):
        raise UsageError(
            f"expected one --strength per --direction, got {len(amounts)} for {len(chosen)}"
        )
    sweep = parse_strip(strip) if strip else None
    if sweep and len(chosen) > 1:
        raise UsageError("--strip takes one direction")
    if sweep and strengths:
        raise UsageError("--strip has strengths of its own; leave --strength out")

    # Where the results go.
    path = latent or newest()
    stem = path.with_suffix("")
    label = "".join(f".{d.name}{s:+g}" for d, s in zip(chosen, amounts, strict=True))
    files: tuple[Path, ...]
    if sweep:
        files = (with_suffix_of(output or Path(f"{stem}.{chosen[0].name}.strip.png"), ".png"),)
    else:
        files = with_twin(output or Path(f"{stem}{label}.png"))
    settings = [*names, mask_file, features, network]
    destinations = claim("edit", files, latents=[path], settings=settings, overwrite=overwrite)

    generator, [start] = open_latents([path], network, device, force=force)
    for direction in chosen:
        direction.check_generator(generator)
    limits = open_styles(generator, styles)
    height, width = generator.check(start).image
    mask = read_mask(mask_file, (width, height)) if mask_file else None

    def report(step: EditStep) -> None:
        if step.stage == "companion":
            say(f"{path}: made without a companion; looking for one, which takes seconds", err=True)
            return
        through = step.features in ("residual", "difference")
        faces = faces_found(step.latent) if through else ""
        if faces or features == "auto":
            say(f"{step.direction.name}: features edited by {step.features}{faces}", err=True)

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
        steps = zip(chosen, amounts, strict=True)
        result = along_direction.chain(generator, start, steps, **options)
        write_edited(generator, result, destinations)


def say_new_value(value: str) -> str:
    """The value of --features; one of an earlier version becomes today's, with a warning."""
    new = features_of_carry(value)
    if new != value:
        say(f"warning: --features {value} is now --features {new}", err=True)
    return new


def faces_found(latent: Latent) -> str:
    """For the message about a canvas: on how many faces an edit acts."""
    if latent.companion is None or latent.companion.windows is None:
        return ""
    count = latent.companion.windows.shape[1]
    return f", {count} face{'s' if count > 1 else ''} found"
