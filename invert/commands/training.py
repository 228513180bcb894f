"""`invert train encoder`: an encoder for a generator's layer, from generated images alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from invert.commands.bars import training_bar
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
from invert.commands.terminal import say
from invert.errors import UsageError

DEFAULT_MINUTES = 120.0
PARTS = ("features", "styles", "rgb")


@click.command(
    cls=Command,
    sections={
        "Initialization": ("init", "backbone", "resume"),
        "Optimization": ("passes", "batch", "lr", "warmup", "seed", "half", "held_out"),
        "Image terms": (
            "image_batch",
            "warped",
            "previews",
            "image_every",
            "image_side",
            "image_weight",
            "perceptual",
        ),
    },
    renamed={"--trunk": Renamed("--backbone"), "--start": Renamed("--init")},
)
@click.option(
    "--layer", metavar="I", default=5, show_default=True, help="The layer i of F_i to predict."
)
@click.option(
    "--minutes",
    metavar="MINUTES",
    type=float,
    help="Total training time, resumed runs included; the rate falls to zero over it. "
    "Default: 120, or no limit with --steps.",
)
@click.option("--hours", metavar="HOURS", type=float, help="The same in hours.")
@click.option(
    "--steps",
    metavar="N",
    type=int,
    help="Stop after this many updates in all; the rate falls to zero over them.",
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
@click.option(
    "--refinement",
    "passes",
    metavar="PASSES",
    type=int,
    help="Train a refinement of the encoder named by --init: steps of gradient descent that are "
    "learned. 2 is usual.",
)
@click.option("--batch", metavar="N", type=int, help="New samples per update. Default: 12.")
@click.option("--lr", metavar="RATE", type=float, help="Learning rate of Adam.")
@click.option(
    "--warmup",
    metavar="N",
    type=int,
    help="Updates in which the rate rises from zero. Default: 100.",
)
@click.option(
    "--seed",
    metavar="N",
    type=int,
    default=0,
    show_default=True,
    help="Seed of the samples and of new weights.",
)
@click.option(
    "--half/--no-half",
    default=None,
    help="Compute in bfloat16. Default: on every device but a CPU.",
)
@click.option(
    "--image-batch",
    metavar="N",
    type=int,
    help="Samples whose encodings are rendered and compared. Default: a quarter of the batch.",
)
@click.option(
    "--warped",
    metavar="N",
    type=int,
    help="Warped images per update, compared in the same way. Default: a quarter of the batch.",
)
@click.option(
    "--previews",
    is_flag=True,
    help="Render encodings by the layers up to the size compared: cheaper, not quite exact.",
)
@click.option(
    "--image-every", metavar="N", type=int, help="Compare images in every N-th update only."
)
@click.option(
    "--image-size",
    "image_side",
    metavar="PIXELS",
    type=int,
    help="Side of the images that are compared: a smaller one is cheaper. Default: the encoder's.",
)
@click.option(
    "--image-weight", metavar="WEIGHT", type=float, help="Of each image term. Default: 2."
)
@click.option(
    "--perceptual",
    metavar="NAME",
    multiple=True,
    help="Distance of these images; may be repeated; none for the pixels alone. "
    "Default: st-lpips-alex and st-lpips-vgg.",
)
@click.option(
    "--held-out",
    metavar="N",
    type=int,
    help="Faces that the encoder is measured on; a quarter of them are rendered. Default: 64.",
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
    minutes: float | None,
    hours: float | None,
    steps: int | None,
    init: Path | None,
    backbone: Any,
    resume: bool,
    passes: int | None,
    batch: int | None,
    lr: float | None,
    warmup: int | None,
    seed: int,
    half: bool | None,
    image_batch: int | None,
    warped: int | None,
    previews: bool,
    image_every: int | None,
    image_side: int | None,
    image_weight: float | None,
    perceptual: tuple[str, ...],
    held_out: int | None,
    output: Path,
    overwrite: bool,
    as_json: bool,
    network: str,
    device: str,
) -> None:
    """Train an encoder: an image to F_i, R_i and styles.

    It learns from images of the generator (Sypetkowski 2021, algorithm 3) and from
    warped ones, which it compares with its own renderings, and predicts in one pass what
    `invert project` starts from. Every minute the encoder is written as it is; Ctrl-C
    writes it, too, and --resume continues.

    \b
    Example:
      invert train encoder --layer 5 --minutes 120 -o encoder.safetensors
    """
    from invert.encoders.settings import EncoderSettings
    from invert.encoders.training import EncoderStep
    from invert.encoders.training_run import check_run, load_distances, train_encoder

    limit = time_limit(minutes, hours, steps)
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: expected a name that ends in .safetensors")
    changes = without_none(
        trunk=backbone,
        passes=passes,
        batch=batch,
        lr=lr,
        warmup=warmup,
        image_batch=image_batch,
        warped=warped,
        previews=previews,
        image_every=image_every,
        image_side=image_side,
        image_weight=image_weight,
        held_out=held_out,
        half=half,
        seed=seed,
    )
    if perceptual:
        changes["perceptual"] = () if perceptual == ("none",) else perceptual
    settings = EncoderSettings(**changes)

    destinations = claim(
        "train encoder", [output], network=network, settings=[init], overwrite=overwrite
    )
    folder = output.with_suffix(".run")
    check_folder(folder)
    check_run(folder, resume=resume)
    destinations.announce()

    generator = open_generator(network, device)
    distances = load_distances(generator, settings)

    def losses(step: EncoderStep) -> dict[str, str]:
        return {
            "loss": f"{step.loss:.3f}",
            "F": f"{step.features:.3f}",
            "w": f"{step.styles:.3f}",
        }

    with training_bar(output.name, steps, limit, losses) as update:
        report = train_encoder(
            generator,
            layer,
            output,
            settings=settings,
            steps=steps,
            minutes=limit,
            resume=resume,
            start=init,
            perceptual=distances,
            callback=update,
            record=destinations.record,
        )

    if as_json:
        click.echo(json.dumps({"file": str(output), **report}, sort_keys=True))
    else:
        speed = f"{report['images_per_second']:.3g} images per second"
        say(f"{output}  {report['steps']} steps, {speed}; held out: {in_words(report['held_out'])}")
    if report["stop_reason"] == "interrupted":
        raise KeyboardInterrupt


def time_limit(minutes: float | None, hours: float | None, steps: int | None) -> float | None:
    """Minutes to train for at most; None where only steps are given.

    Raises :class:`UsageError` for times and steps out of range.
    """
    if steps is not None:
        check_range("steps", steps, 0, 1_000_000_000)
    if minutes is not None and hours is not None:
        raise UsageError("--minutes and --hours both say how long to train; give one of them")
    if hours is not None:
        return 60 * check_range("hours", hours, 0, 10_000)
    if minutes is not None:
        return check_range("minutes", minutes, 0, 600_000)
    return None if steps is not None else DEFAULT_MINUTES


def in_words(measured: Mapping[str, float]) -> str:
    """Shares of variance missed, and distances of the images, in words."""
    if not measured:  # interrupted before the first test
        return "not measured yet"
    shares = [f"{name} {measured[name]:.3f}" for name in PARTS if name in measured]
    others = [f"{name} {value:.4f}" for name, value in measured.items() if name not in PARTS]
    return f"variance missed: {', '.join(shares)}" + "".join(f", {other}" for other in others)
