"""`invert train encoder`: an encoder for a generator's layer, from generated images alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from invert.commands.destinations import check_folder, claim
from invert.commands.opening import open_generator
from invert.commands.options import (
    FILE,
    device_option,
    json_option,
    network_option,
    overwrite_option,
)
from invert.commands.parsing import check_range
from invert.commands.terminal import LONGEST_LABEL, printable, say


@click.command()
@network_option
@click.option("--layer", default=5, show_default=True, help="i of the F_i that it predicts.")
@click.option(
    "--hours", type=float, default=2.0, show_default=True, help="Time to train for, in all."
)
@click.option("--steps", type=int, help="Stop after so many updates, in all, whatever the time.")
@click.option("--resume", is_flag=True, help="Go on with the run beside the output.")
@click.option("--start", type=FILE, help="An encoder to begin with, instead of new weights.")
@click.option(
    "--trunk",
    type=click.Choice(("efficientnet-b0", "efficientnet-lite0")),
    help="The network under it.",
)
@click.option("--batch", type=int, help="Images per update.")
@click.option("--fresh", type=int, help="New images among them; the rest are earlier ones again.")
@click.option("--lr", type=float, help="Learning rate of Adam.")
@click.option(
    "--half", is_flag=True, help="Render samples in bfloat16, for processors that have it."
)
@click.option(
    "--image-batch",
    type=int,
    help="Images of an update that image terms render; 0, none, by default.",
)
@click.option("--image-every", type=int, help="Updates from one with image terms to the next.")
@click.option(
    "--perceptual",
    default="st-lpips-alex",
    show_default=True,
    help="Distance of image terms, or none.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the samples and the first weights."
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    required=True,
    help="A .safetensors file; the run is kept in a .run folder.",
)
@overwrite_option
@device_option
@json_option
def encoder(
    network: str, layer: int, output: Path, overwrite: bool, device: str, as_json: bool, **o: Any
) -> None:
    """Train an encoder: F_i, R_i and styles of an image in one pass ([S] algorithm 3).

    Ctrl-C saves the run and writes the encoder as it is; --resume goes on.

    \b
    Example:  invert train encoder --network ffhq-mobile --layer 5 --hours 2 -o encoder.safetensors
    """
    from tqdm import tqdm

    from invert.encoders.training import EncoderSettings, EncoderStep
    from invert.encoders.training_run import train_encoder
    from invert.errors import UsageError
    from invert.metrics.perceptual import load_perceptual

    check_range("hours", o["hours"], 0, 10_000)
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: expected a name that ends in .safetensors")
    knobs = ("trunk", "batch", "fresh", "lr", "image_batch", "image_every", "half", "seed")
    settings = EncoderSettings(**{k: o[k] for k in knobs if o[k] is not None})
    destinations = claim(
        "train encoder", [output], network=network, settings=[o["start"]], overwrite=overwrite
    )
    check_folder(output.with_suffix(".run"))
    destinations.announce()
    generator = open_generator(network, device)
    distance = None
    if settings.image_batch and o["perceptual"] != "none":
        distance = load_perceptual(o["perceptual"], device=generator.device, dtype=generator.dtype)
    with tqdm(
        total=o["steps"],
        desc=printable(output.name, LONGEST_LABEL),
        unit="step",
        leave=False,
        disable=None,
    ) as bar:

        def update(step: EncoderStep) -> None:
            bar.set_postfix(
                loss=f"{step.loss:.3f}", F=f"{step.features:.3f}", w=f"{step.styles:.3f}",
                left=f"{max(0.0, o['hours'] * 60 - step.seconds / 60):.0f}min", refresh=False,
            )  # fmt: skip
            bar.update(step.step - bar.n)

        facts = train_encoder(
            generator, layer, output,
            settings=settings, steps=o["steps"], hours=o["hours"], resume=o["resume"], start=o["start"],
            perceptual=distance, callback=update, record=destinations.record,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps({"file": str(output), **facts}, sort_keys=True))
    else:
        missed = ", ".join(f"{name} {value:.3f}" for name, value in facts["held_out"].items())
        say(f"{output}  {facts['steps']} steps, held-out share of variance missed: {missed}")
    if facts["stop_reason"] == "interrupted":
        raise KeyboardInterrupt
