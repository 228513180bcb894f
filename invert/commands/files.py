"""Commands about files: convert latents and checkpoints, say what is in them, fetch weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from invert.commands.bars import download_bar
from invert.commands.command import Command
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
    refuse_given,
    without_none,
)
from invert.commands.terminal import say


@click.command(cls=Command)
@click.argument("latent", type=FILE)
@click.option("--space", metavar="SPACE", required=True, help="W+, NW+, FNW5, FNSW5, …")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=FILE,
    help="A .pt or .safetensors file. Default: NAME.SPACE.pt.",
)
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
    """Convert a latent to another space.

    The latent keeps its image. A conversion that would change it is refused.

    \b
    Example:
      invert convert portrait.pt --space FNSW5
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


@click.command(cls=Command)
@click.argument("file", type=FILE)
@click.option("--allow-nonfinite", is_flag=True, help="Read weights that hold NaN or infinity.")
@json_option
def info(file: Path, allow_nonfinite: bool, as_json: bool) -> None:
    """Describe a file: what it is and what it contains.

    FILE is a latent, checkpoint, direction, encoder, attribute model, picture or
    report, also of other projects.

    \b
    Example:
      invert info portrait.pt
    """
    from invert.describe import describe

    print_facts(describe(file, allow_nonfinite=allow_nonfinite), as_json)


@click.command("convert-network", cls=Command)
@click.argument("file", type=FILE)
@click.argument("output", type=FILE)
@overwrite_option
@click.option("--allow-nonfinite", is_flag=True, help="Keep weights that hold NaN or infinity.")
@click.option(
    "--conv-clamp",
    metavar="MAX",
    type=float,
    help="Largest activation, if the file does not say.",
)
@click.option(
    "--lr-multiplier",
    metavar="FACTOR",
    type=float,
    help="Learning rate multiplier of the mapping network, if the file does not say.",
)
def convert_network(
    file: Path,
    output: Path,
    overwrite: bool,
    allow_nonfinite: bool,
    conv_clamp: float | None,
    lr_multiplier: float | None,
) -> None:
    """Convert a checkpoint to safetensors.

    FILE is a checkpoint of any format that `--network` takes.

    \b
    Example:
      invert convert-network ffhq.pkl ffhq.safetensors
    """
    from invert.checkpoints import read_checkpoint, write_checkpoint
    from invert.loading import build_network

    path = with_suffix_of(output, ".safetensors")
    destinations = claim("convert-network", [path], network=str(file), overwrite=overwrite)

    config = without_none(conv_clamp=conv_clamp, mapping_lr_multiplier=lr_multiplier)
    checkpoint = read_checkpoint(file, allow_nonfinite=allow_nonfinite, config=config)
    build_network(checkpoint)  # refuses what would not run
    details = {**checkpoint.details, **destinations.record}
    write_checkpoint(destinations.ready(), replace(checkpoint, details=details))
    say(output)


@click.command(cls=Command)
@json_option
def networks(as_json: bool) -> None:
    """List the registered weights.

    Each line says the name, the kind, and whether the file is on this machine. Some
    come with the package.

    \b
    Example:
      invert networks --json
    """
    from invert.weights import BUNDLED, MODELS, cached

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
    rows += [
        {
            "name": network.name,
            "kind": "generator",
            "cached": str(network.path),
            "licence": network.licence,
            "what": network.summary,
        }
        for network in BUNDLED.values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        here = "here" if row["cached"] else "not here"
        say(f"{row['name']:19} {row['kind']:11} {here:9} {row['what']}")


@click.command(cls=Command)
@click.argument("names", nargs=-1)
@click.option(
    "--wheel", metavar="FILE", type=FILE, help="Take the weights from this wheel or sdist."
)
@click.option("--cache-dir", metavar="FOLDER", type=FILE, help="Default: the user's cache folder.")
@click.option("--card", is_flag=True, help="Print the model card instead.")
def download(
    names: tuple[str, ...], wheel: Path | None, cache_dir: Path | None, card: bool
) -> None:
    """Download registered weights in advance.

    NAMES are those of `invert networks`; by default all, except for the backbones
    that only `invert train encoder` needs.

    \b
    Example:
      invert download ffhq-mobile
    """
    from invert.weights import BUNDLED, MODELS, ensure, model_card

    if card:
        refuse_given(["wheel", "cache_dir"], "is about the weights; leave it or --card out")
    elif names and all(name in BUNDLED for name in names):
        why = f"is about downloads, and {', '.join(names)} came with the package; leave it out"
        refuse_given(["wheel", "cache_dir"], why)

    for name in names or tuple(name for name, model in MODELS.items() if model.kind != "backbone"):
        if card:
            click.echo(model_card(name))
        elif name in BUNDLED:
            say(BUNDLED[name].path)
        else:
            with download_bar(name) as report:
                path = ensure(name, wheel=wheel, cache_dir=cache_dir, progress=report)
            say(path)
