"""`invert equalize` and `stats`: a latent's values against those that its generator makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from invert.commands.command import Command
from invert.commands.destinations import claim, with_suffix_of, with_twin
from invert.commands.opening import newest, open_latents
from invert.commands.options import (
    FILE,
    device_option,
    force_option,
    json_option,
    latent_network_option,
    output_option,
    overwrite_option,
)
from invert.commands.terminal import say
from invert.commands.writing import write_edited


@click.command(cls=Command)
@click.argument("latent", required=False, type=FILE)
@click.option(
    "--amount",
    metavar="A",
    type=float,
    required=True,
    help="0 changes nothing, 1 gives exactly the generator's distribution.",
)
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(["styles", "features", "rgb"]),
    help="Which values: styles, F_i or R_i; repeatable. Default: all.",
)
@output_option
@overwrite_option
@latent_network_option
@force_option
@device_option
def equalize(
    latent: Path | None,
    amount: float,
    parts: tuple[Any, ...],
    output: Path | None,
    overwrite: bool,
    network: str | None,
    force: bool,
    device: str,
) -> None:
    """Match a latent's histograms to the generator's.

    Styles, features F_i and the image R_i of a latent move towards the distribution
    of generated ones, each value by its rank. LATENT is a latent file; by default the
    newest projection in this folder.

    \b
    Example:
      invert equalize portrait.pt --amount 0.5
    """
    from edits.equalization import equalize as equalize_latent

    path = latent or newest()
    files = with_twin(output or Path(f"{path.with_suffix('')}.equalized{amount:g}.png"))
    destinations = claim("equalize", files, latents=[path], settings=[network], overwrite=overwrite)
    generator, [point] = open_latents([path], network, device, force=force)
    write_edited(generator, equalize_latent(generator, point, amount, parts or None), destinations)


@click.command(cls=Command)
@click.argument("latent", required=False, type=FILE)
@click.option("-o", "--output", metavar="FILE", type=FILE, help="Default: NAME.stats.png.")
@overwrite_option
@latent_network_option
@force_option
@json_option
@device_option
def stats(
    latent: Path | None,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    force: bool,
    as_json: bool,
    device: str,
) -> None:
    """Plot a latent's histograms beside the generator's.

    One plot each for styles, noise, F_i and R_i, with the Wasserstein distance from
    generated values. LATENT is a latent file; by default the newest projection in
    this folder.

    \b
    Example:
      invert stats portrait.pt
    """
    from edits.plots import distribution_figure

    path = latent or newest()
    where = with_suffix_of(output or Path(f"{path.with_suffix('')}.stats.png"), ".png")
    destinations = claim("stats", [where], latents=[path], settings=[network], overwrite=overwrite)
    generator, [point] = open_latents([path], network, device, force=force)
    distances = distribution_figure(generator, point, destinations.ready(), destinations.record)

    if as_json:
        click.echo(json.dumps({"file": str(where), "wasserstein": distances}, sort_keys=True))
        return
    say(where)
    for name, value in distances.items():
        say(f"{name:10} {value:.4f}")
