"""`invert train encoder`: an encoder for a generator's layer, from generated images alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from invert.commands.command import Command, Renamed
from invert.commands.destinations import check_folder, claim
from invert.commands.opening import open_generator
from invert.commands.options import (
    FILE,
    device_option,
    json_option,
    network_option,
    overwrite_option,
    without_none,
)
from invert.commands.parsing import check_range
from invert.commands.terminal import LONGEST_LABEL, printable, say


@click.command(
    cls=Command,
    sections={
        "Initialization": ("init", "backbone", "resume"),
        "Optimization": ("batch", "fresh", "lr", "seed", "half"),
        "Image terms": ("image_batch", "image_every", "perceptual"),
    },
    renamed={"--trunk": Renamed("--backbone"), "--start": Renamed("--init")},
)
@click.option(
    "--layer", metavar="I", default=5, show_default=True, help="The layer i of F_i to predict."
)
@click.option(
    "--hours",
    metavar="HOURS",
    type=float,
    default=2.0,
    show_default=True,
    help="Total training time, resumed runs included.",
)
@click.option(
    "--steps", metavar="N", type=int, help="Stop after this many updates in all, whatever the time."
)
@click.option("--init", metavar="FILE", type=FILE, help="Begin with the weights of this encoder.")
@click.option(
    "--backbone",
    type=click.Choice(("efficientnet-b0", "efficientnet-lite0")),
    help="CNN under the heads. Default: efficientnet-b0.",
)
@click.option(
    "--resume", is_flag=True, help="Continue the run whose folder lies beside the output."
)
@click.option("--batch", metavar="N", type=int, help="Images per update.")
@click.option(
    "--fresh", metavar="N", type=int, help="How many of them are new; the rest are seen again."
)
@click.option("--lr", metavar="RATE", type=float, help="Learning rate of Adam.")
@click.option(
    "--seed",
    metavar="N",
    type=int,
    default=0,
    show_default=True,
    help="Seed of the samples and of new weights.",
)
@click.option(
    "--half", is_flag=True, help="Render samples in bfloat16, for processors that have it."
)
@click.option(
    "--image-batch",
    metavar="N",
    type=int,
    help="Images per update that are rendered and compared. Default: 0.",
)
@click.option(
    "--image-every", metavar="N", type=int, help="Compare images in every N-th update only."
)
@click.option(
    "--perceptual",
    metavar="NAME",
    default="st-lpips-alex",
    show_default=True,
    help="Distance of these images; none for the pixels alone.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=FILE,
    required=True,
    help="A .safetensors file; the run is saved in a .run folder beside it.",
)
@overwrite_option
@json_option
@network_option
@device_option
def encoder(
    layer: int,
    hours: float,
    steps: int | None,
    init: Path | None,
    backbone: Any,
    resume: bool,
    batch: int | None,
    fresh: int | None,
    lr: float | None,
    seed: int,
    half: bool,
    image_batch: int | None,
    image_every: int | None,
    perceptual: str,
    output: Path,
    overwrite: bool,
    as_json: bool,
    network: str,
    device: str,
) -> None:
    """Train an encoder: an image to F_i, R_i and styles.

    It learns from images of the generator alone (Sypetkowski 2021, algorithm 3) and
    predicts in one pass what `invert project` starts from. Ctrl-C saves the run and
    writes the encoder as it is; --resume continues.

    \b
    Example:
      invert train encoder --layer 5 --hours 2 -o encoder.safetensors
    """
    from tqdm import tqdm

    from invert.encoders.training import EncoderSettings, EncoderStep
    from invert.encoders.training_run import check_run, train_encoder
    from invert.errors import UsageError
    from invert.metrics.perceptual import load_perceptual

    check_range("hours", hours, 0, 10_000)
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: expected a name that ends in .safetensors")
    changes = without_none(
        trunk=backbone,
        batch=batch,
        fresh=fresh,
        lr=lr,
        image_batch=image_batch,
        image_every=image_every,
        half=half,
        seed=seed,
    )
    settings = EncoderSettings(**changes)

    destinations = claim(
        "train encoder", [output], network=network, settings=[init], overwrite=overwrite
    )
    folder = output.with_suffix(".run")
    check_folder(folder)
    check_run(folder, resume=resume)
    destinations.announce()

    generator = open_generator(network, device)
    distance = None
    if settings.image_batch and perceptual != "none":
        distance = load_perceptual(perceptual, device=generator.device, dtype=generator.dtype)
    label = printable(output.name, LONGEST_LABEL)
    with tqdm(total=steps, desc=label, unit="step", leave=False, disable=None) as bar:

        def update(step: EncoderStep) -> None:
            bar.set_postfix(
                loss=f"{step.loss:.3f}",
                F=f"{step.features:.3f}",
                w=f"{step.styles:.3f}",
                left=f"{max(0.0, hours * 60 - step.seconds / 60):.0f}min",
                refresh=False,
            )
            bar.update(step.step - bar.n)

        report = train_encoder(
            generator,
            layer,
            output,
            settings=settings,
            steps=steps,
            hours=hours,
            resume=resume,
            start=init,
            perceptual=distance,
            callback=update,
            record=destinations.record,
        )

    if as_json:
        click.echo(json.dumps({"file": str(output), **report}, sort_keys=True))
    else:
        shares = ", ".join(f"{name} {value:.3f}" for name, value in report["held_out"].items())
        say(f"{output}  {report['steps']} steps, held-out variance left unexplained: {shares}")
    if report["stop_reason"] == "interrupted":
        raise KeyboardInterrupt
