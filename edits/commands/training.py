"""`invert train attribute`: a direction's effect on F_i, learned."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.commands.bars import stage_bars
from invert.commands.command import Command, Renamed
from invert.commands.destinations import Destinations, claim
from invert.commands.opening import open_generator
from invert.commands.options import (
    FILE,
    device_option,
    json_option,
    network_option,
    overwrite_option,
    without_none,
)
from invert.commands.terminal import say
from invert.errors import UsageError

if TYPE_CHECKING:
    from edits.attributes.training import Callback


@click.command(
    cls=Command,
    sections={
        "Optimization": ("samples", "steps", "seed"),
        "Image terms": ("perceptual_steps", "perceptual", "lpips_weights"),
    },
    renamed={"--trunk": Renamed("--lpips-weights")},
)
@click.option(
    "--direction",
    metavar="NAME|FILE",
    required=True,
    help="A name (`invert directions list`) or a direction file.",
)
@click.option(
    "--layer",
    metavar="I",
    type=int,
    default=5,
    show_default=True,
    help="The layer i of F_i to edit.",
)
@click.option(
    "--samples", metavar="N", type=int, help="Generated images for the least-squares solution."
)
@click.option("--steps", metavar="N", type=int, help="Updates that compare F_i and R_i.")
@click.option("--seed", metavar="N", type=int, help="Seed of the samples, in [0, 1023].")
@click.option(
    "--perceptual-steps",
    metavar="N",
    type=int,
    help="Further updates that compare images; slow without a GPU. Default: 0.",
)
@click.option(
    "--perceptual",
    metavar="NAME",
    default="st-lpips-alex",
    show_default=True,
    help="Distance of images in these updates.",
)
@click.option(
    "--lpips-weights",
    metavar="FILE",
    type=FILE,
    help="Backbone weights from torchvision, for lpips-… distances.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=FILE,
    help="Default: DIRECTION-layerI-NETWORK.safetensors.",
)
@overwrite_option
@json_option
@network_option
@device_option
def attribute(
    direction: str,
    layer: int,
    samples: int | None,
    steps: int | None,
    seed: int | None,
    perceptual_steps: int | None,
    perceptual: str,
    lpips_weights: Path | None,
    output: Path | None,
    overwrite: bool,
    as_json: bool,
    network: str,
    device: str,
) -> None:
    """Train a model of what a direction does to F_i and R_i.

    An attribute model (Sypetkowski 2021, algorithm 2) edits latents that have no
    companion. The output lists, for each strength in σ, the share of the change that
    the model explains on held-out images. Ctrl-C ends the training early and writes
    the model of the last step, once least squares are solved.

    \b
    Examples:
      invert train attribute --direction smile --layer 5
      invert train attribute --direction smile -o smile.safetensors
      invert edit a.pt --direction smile --features smile.safetensors
    """
    from directions.catalog import find
    from edits.attributes.catalog import file_name
    from edits.attributes.files import save_attribute_model
    from edits.attributes.training import AttributeSettings, train_attribute_model
    from invert.metrics.perceptual import load_perceptual

    changes = without_none(
        samples=samples, steps=steps, perceptual_steps=perceptual_steps, seed=seed
    )
    settings = AttributeSettings(**changes)
    chosen = find(direction)

    # The output is checked before the training; its default name has the generator's in it.
    if output is not None and output.suffix != ".safetensors":
        raise UsageError(
            f"{output}: attribute models are written as .safetensors; give the file that suffix"
        )
    if output is not None and not output.parent.is_dir():
        raise UsageError(f"{output.parent}: no such folder; make it before the training starts")
    if output is not None:  # else its name takes the generator's
        destinations = claim_model(output, direction, network, lpips_weights, overwrite)
    generator = open_generator(network, device)
    if output is None:
        path = Path(file_name(chosen.name, layer, generator.name))
        destinations = claim_model(path, direction, network, lpips_weights, overwrite)

    distance = None
    if settings.perceptual_steps:
        distance = load_perceptual(perceptual, lpips_weights=lpips_weights, device=generator.device)
    with training_bar(chosen.name) as report:
        model = train_attribute_model(
            generator, chosen, layer, settings=settings, perceptual=distance, callback=report
        )

    path = destinations.ready()
    save_attribute_model(model.half(), path, destinations.record)
    explained = model.training["explained"]
    if as_json:
        click.echo(json.dumps({"file": str(path), "explained": explained}, sort_keys=True))
    else:
        say(path)
        for strength, shares in explained.items():
            row = "  ".join(f"{part} {share:6.1%}" for part, share in shares.items())
            say(f"{strength:>5} σ  {row}")
    if model.training["stop_reason"] == "interrupted":
        raise KeyboardInterrupt


def claim_model(
    path: Path, direction: str, network: str, lpips_weights: Path | None, overwrite: bool
) -> Destinations:
    """The model's file, made from a direction and a network."""
    file = Path(direction)
    source = file if file.is_file() else f"direction {direction}"
    return claim(
        "train attribute",
        [path],
        files=[source],
        network=network,
        settings=[lpips_weights],
        overwrite=overwrite,
    )


def training_bar(name: str) -> AbstractContextManager[Callback]:
    """A callback for training that draws one bar per stage on stderr."""

    def postfix(step: Any) -> dict[str, str]:
        return {} if step.missed is None else {"explained": f"{1 - step.missed:.3f}"}

    return stage_bars(lambda stage: f"{name} ({stage})", postfix)
