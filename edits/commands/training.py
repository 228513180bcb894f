"""`invert train attribute`: a direction's effect on F_i, learned."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.commands.bars import stage_bars
from invert.commands.destinations import Destinations, claim
from invert.commands.opening import open_generator
from invert.commands.options import (
    FILE,
    device_option,
    json_option,
    network_option,
    overwrite_option,
)
from invert.commands.terminal import say
from invert.errors import UsageError

if TYPE_CHECKING:
    from edits.attributes.training import Callback


@click.command()
@click.option(
    "--direction", required=True, help="A name (`invert directions list`) or a direction file."
)
@click.option("--layer", type=int, default=5, show_default=True, help="i of F_i.")
@click.option("--samples", type=int, help="Generated points behind the least squares.")
@click.option("--steps", type=int, help="Updates on the maps of F_i and R_i.")
@click.option(
    "--perceptual-steps",
    type=int,
    help="Further updates on images, too; slow without a GPU. None by default.",
)
@click.option(
    "--perceptual",
    default="st-lpips-alex",
    show_default=True,
    help="Distance of images for these updates.",
)
@click.option("--trunk", type=FILE, help="Weights file of torchvision for lpips-… distances.")
@click.option("--seed", type=int, help="Of the points, in [0, 1023].")
@click.option("-o", "--output", type=FILE, help="DIRECTION-layerI-NETWORK.safetensors by default.")
@overwrite_option
@network_option
@device_option
@json_option
def attribute(
    direction: str,
    layer: int,
    samples: int | None,
    steps: int | None,
    perceptual_steps: int | None,
    perceptual: str,
    trunk: Path | None,
    seed: int | None,
    output: Path | None,
    overwrite: bool,
    network: str,
    device: str,
    as_json: bool,
) -> None:
    """Train an attribute model: how F_i and R_i move along a direction, for latents without a
    companion.

    Prints the share of the displacement it explains on held-out faces, per strength in steps.
    Ctrl-C ends it early:
    the model is that of the last step, where least squares were solved before.

    \b
    Example:  invert train attribute --direction smile --layer 5
              invert edit portrait.pt --direction smile --carry smile-layer5-ffhq-mobile.safetensors
    """
    from directions.catalog import find
    from edits.attributes.catalog import file_name
    from edits.attributes.training import AttributeSettings, train_attribute_model
    from invert.metrics.perceptual import load_perceptual

    given = {"samples": samples, "steps": steps, "perceptual_steps": perceptual_steps, "seed": seed}
    settings = AttributeSettings(
        **{name: value for name, value in given.items() if value is not None}
    )
    chosen = find(direction)
    if output is not None and output.suffix != ".safetensors":
        raise UsageError(
            f"{output}: attribute models are written as .safetensors; give the file that suffix"
        )
    if output is not None and not output.parent.is_dir():
        raise UsageError(f"{output.parent}: no such folder; make it before the training starts")
    if output is not None:  # else its name takes the generator's
        destinations = claim_model(output, direction, network, trunk, overwrite)
    generator = open_generator(network, device)
    if output is None:
        path = Path(file_name(chosen.name, layer, generator.name))
        destinations = claim_model(path, direction, network, trunk, overwrite)
    distance = None
    if settings.perceptual_steps:
        distance = load_perceptual(perceptual, trunk=trunk, device=generator.device)
    with training_bar(chosen.name) as report:
        model = train_attribute_model(
            generator, chosen, layer, settings=settings, perceptual=distance, callback=report
        )
    path = destinations.ready()
    model.half().save(path, destinations.record)
    if as_json:
        click.echo(
            json.dumps(
                {"file": str(path), "explained": model.training["explained"]}, sort_keys=True
            )
        )
    else:
        say(path)
        for strength, shares in model.training["explained"].items():
            say(
                f"{strength:>5} steps  "
                + "  ".join(f"{part} {share:6.1%}" for part, share in shares.items())
            )
    if model.training["stop_reason"] == "interrupted":
        raise KeyboardInterrupt


def claim_model(
    path: Path, direction: str, network: str, trunk: Path | None, overwrite: bool
) -> Destinations:
    """The model's file, made from a direction and a network."""
    file = Path(direction)
    source = file if file.is_file() else f"direction {direction}"
    return claim(
        "train attribute",
        [path],
        files=[source],
        network=network,
        settings=[trunk],
        overwrite=overwrite,
    )


def training_bar(name: str) -> AbstractContextManager[Callback]:
    """A callback for training that draws one bar per stage on stderr."""

    def facts(step: Any) -> dict[str, str]:
        return {} if step.missed is None else {"explained": f"{1 - step.missed:.3f}"}

    return stage_bars(lambda stage: f"{name} ({stage})", facts)
