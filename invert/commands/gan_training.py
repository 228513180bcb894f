"""`invert train gan`: a generator of one's own pictures, also one whose latent is a map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from invert.commands.bars import training_bar
from invert.commands.command import Command
from invert.commands.destinations import check_folder, claim
from invert.commands.devices import pick_device, say_device
from invert.commands.options import (
    FILE,
    device_option,
    json_option,
    overwrite_option,
    without_none,
)
from invert.commands.parsing import check_range
from invert.commands.records import read_record
from invert.commands.terminal import say
from invert.commands.training import time_limit
from invert.errors import UsageError


@click.command(
    cls=Command,
    sections={
        "Data": ("data", "size", "min_detail", "max_blue", "mirror", "turn"),
        "Network": ("space", "latent", "channel_base", "channel_max", "start", "resume"),
        "Optimization": ("batch", "lr", "gamma", "ada_target", "seed", "half"),
        "Measures": ("snapshot", "measure"),
    },
)
@click.option(
    "--data",
    metavar="PATH",
    type=FILE,
    required=True,
    help="A picture of any size, a folder of pictures, or a Zarr array.",
)
@click.option(
    "--size", metavar="PIXELS", type=int, help="Side of the crops. Default: 64, or that of --start."
)
@click.option(
    "--min-detail",
    metavar="GREYS",
    type=float,
    help="Leave out flat crops: those of a lower standard deviation, of 255. Default: 0.",
)
@click.option(
    "--max-blue",
    metavar="SHARE",
    type=float,
    help="Leave out crops with a larger share of blue pixels, such as sea. Default: 1.",
)
@click.option("--mirror", is_flag=True, help="Mirror half of the crops.")
@click.option("--turn", is_flag=True, help="Turn crops by quarters: for scenes without an upright.")
@click.option(
    "--space",
    metavar="SPACE",
    help="Z: a learned constant; FNZ3, FNZ5, …: F_i is drawn from --latent. Default: Z.",
)
@click.option(
    "--latent",
    metavar="NAME",
    help="Distribution of F_i: normal, blurred, box, radial, motion, polygons, learned, or several "
    "joined by +. Default: blurred.",
)
@click.option(
    "--channel-base",
    metavar="N",
    type=int,
    help="Width at resolution r is N / r, up to --channel-max. Default: 1024, or that of --start.",
)
@click.option(
    "--channel-max",
    metavar="N",
    type=int,
    help="The largest width. Default: 64, or that of --start.",
)
@click.option(
    "--start",
    metavar="FILE",
    type=FILE,
    help="Begin with this network, at its sizes, and the discriminator of its run, if that lies "
    "beside it; FNZ3 may begin with a plain one.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the run whose folder lies beside the output, with its settings.",
)
@click.option(
    "--minutes",
    metavar="MINUTES",
    type=float,
    help="Total training time, resumed runs included. Default: 120, or no limit with --steps.",
)
@click.option("--hours", metavar="HOURS", type=float, help="The same in hours.")
@click.option("--steps", metavar="N", type=int, help="Stop after this many steps in all.")
@click.option("--batch", metavar="N", type=int, help="Real images per step. Default: 16.")
@click.option("--lr", metavar="RATE", type=float, help="Learning rate of Adam. Default: 0.0025.")
@click.option(
    "--gamma", metavar="GAMMA", type=float, help="Weight of R1. Default: 0.0002 size² / batch."
)
@click.option(
    "--ada-target",
    metavar="SIGN",
    type=float,
    help="Mean sign of the logits of real images that augmentations aim at; 0: none. Default: 0.6.",
)
@click.option(
    "--seed", metavar="N", type=int, help="Seed of crops, weights and samples. Default: 0."
)
@click.option(
    "--half/--no-half",
    default=None,
    help="Convolutions in bfloat16. Default: where that is faster.",
)
@click.option(
    "--snapshot",
    metavar="MINUTES",
    type=float,
    default=5.0,
    show_default=True,
    help="Time between two snapshots: the network, a sheet of samples, the measures.",
)
@click.option(
    "--measure",
    metavar="N",
    type=int,
    default=0,
    show_default=True,
    help="Samples and crops whose fd-vgg16 each snapshot measures; 0: none.",
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
@device_option
def gan(
    data: Path,
    size: int | None,
    min_detail: float | None,
    max_blue: float | None,
    mirror: bool,
    turn: bool,
    space: str | None,
    latent: str | None,
    channel_base: int | None,
    channel_max: int | None,
    start: Path | None,
    resume: bool,
    minutes: float | None,
    hours: float | None,
    steps: int | None,
    batch: int | None,
    lr: float | None,
    gamma: float | None,
    ada_target: float | None,
    seed: int | None,
    half: bool | None,
    snapshot: float,
    measure: int,
    output: Path,
    overwrite: bool,
    as_json: bool,
    device: str,
) -> None:
    """Train a StyleGAN2 on crops of pictures.

    The training is that of Karras et al. 2020. With --space FNZ3 the constant is
    replaced by a feature map that is drawn (Sypetkowski 2021, chapter 8): such a
    generator paints pictures of any size
    (`invert generate --size`). Crops are uniform over the whole area of the data.
    Ctrl-C writes the network, and --resume continues.

    \b
    Example:
      invert train gan --data earth.jpg --space FNZ3 --minutes 60 -o e.safetensors
    """
    from invert.files.run_folder import STATE, check_run
    from invert.gan.distance_to_data import DistanceToData, no_measures
    from invert.gan.settings import GanSettings
    from invert.gan.start import run_beside, sizes_of
    from invert.gan.training import GanStep
    from invert.gan.training_run import check_sources, train_gan
    from invert.gan.training_state import saved_settings

    limit = time_limit(minutes, hours, steps)
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: expected a name that ends in .safetensors")
    if resume and start is not None:
        raise UsageError("a run that goes on has its networks; give --start or --resume")
    check_range("measure", measure, 0, 1_000_000)
    if not snapshot > 0:
        raise UsageError(f"--snapshot is a time above 0, got {snapshot:g} minutes")
    check_sources(data, start)

    # Where results go. The network of a run that goes on is that run's to replace.
    own = resume and read_record(output).get("made_by") == "train gan"
    destinations = claim("train gan", [output], settings=[data, start], overwrite=overwrite or own)
    folder = output.with_suffix(".run")
    check_folder(folder)
    check_run(folder, resume=resume)

    # Settings: those typed, then those of the run or the network that training goes on from.
    earlier: dict[str, Any] = {}
    if resume:
        earlier = saved_settings(folder / STATE)
    elif start is not None:
        earlier = sizes_of(start)
    changes = without_none(
        resolution=size,
        min_detail=min_detail,
        max_blue=max_blue,
        mirror=mirror or None,
        turn=turn or None,
        space=space,
        latent=latent,
        channel_base=channel_base,
        channel_max=channel_max,
        batch=batch,
        lr=lr,
        gamma=gamma,
        ada_target=ada_target,
        seed=seed,
        half=half,
    )
    settings = GanSettings(**{**earlier, **changes})
    if latent is not None and settings.first == 1:
        raise UsageError(
            f"--latent {latent} is a distribution of F_i, and space Z has a learned constant; give "
            "--space FNZ3 with it, or leave it out"
        )

    chosen = pick_device(device)
    say_device(chosen)
    measuring = (
        no_measures if measure == 0 else DistanceToData(measure, settings.resolution, chosen)
    )
    destinations.announce()
    if start is not None and run_beside(start) is None:
        say(f"{start}: without the run that made it; the discriminator begins anew", err=True)

    def losses(step: GanStep) -> dict[str, str]:
        return {
            "seen": f"{step.images / 1000:.3g}k",
            "G": f"{step.generator:.2f}",
            "D": f"{step.discriminator:.2f}",
            "ada": f"{step.probability:.2f}",
        }

    with training_bar(output.name, steps, limit, losses) as update:
        report = train_gan(
            data,
            output,
            settings=settings,
            steps=steps,
            minutes=limit,
            snapshot_minutes=snapshot,
            resume=resume,
            start=start,
            device=chosen,
            callback=update,
            measure=measuring,
            record=destinations.record,
        )

    if as_json:
        click.echo(json.dumps({"file": str(output), **report}, sort_keys=True))
    else:
        speed = f"{report['images_per_second']:.3g} images per second"
        say(f"{output}  {report['steps']} steps, {report['images']} images, {speed}")
        say(folder / "samples.png")
    if report["stop_reason"] == "interrupted":
        raise KeyboardInterrupt
