"""`invert project`: photographs to latents."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from invert.commands.batch import Batch
from invert.commands.command import Command, Renamed
from invert.commands.destinations import check_not_inputs
from invert.commands.opening import fetch, load_latent, open_generator
from invert.commands.options import (
    FILE,
    READING_PARAMETERS,
    device_option,
    json_option,
    network_option,
    overwrite_option,
    reading_options,
    reading_settings,
    without_none,
)
from invert.commands.parsing import check_seed, parse_crop
from invert.commands.photograph_batches import PhotographBatches, Task, check_batch
from invert.commands.photographs import (
    PROGRESS,
    check_no_folder,
    claim_projections,
    say_new_names,
)
from invert.commands.terminal import say
from invert.errors import ModelUnavailableError, UsageError

if TYPE_CHECKING:
    from invert.projection.settings import ProjectionSettings


@click.command(
    cls=Command,
    no_args_is_help=True,
    sections={
        "Photograph": ("crop", "face", "keep_size", *READING_PARAMETERS),
        "Initialization": ("init", "encoder_file", "init_steps"),
        "Optimization": ("steps", "lr", "seed", "half"),
        "Objective": ("perceptual", "lpips_weights", "dist_weight"),
    },
    renamed={"--trunk": Renamed("--lpips-weights")},
)
@click.argument("images", nargs=-1, required=True, type=FILE)
@click.option(
    "--space",
    metavar="SPACE",
    default="FNW5",
    show_default=True,
    help="W, NW+, SW+, FNW5, FNSW5, …; the number is the layer of F.",
)
@click.option(
    "--preset",
    metavar="NAME",
    default="fast",
    show_default=True,
    help="Settings to begin with: fast (minutes on a CPU), draft (a first look), thesis "
    "(Sypetkowski 2021) or stylegan2 (its own projector).",
)
@click.option(
    "--crop",
    metavar="CROP",
    help="face, centre, or x,y,side in pixels. Default: the face for generators trained on FFHQ, "
    "unless the photograph is aligned already; else the centre.",
)
@click.option(
    "--face", metavar="N", type=int, help="Which face, from 0 at the left. Default: the largest."
)
@click.option("--keep-size", is_flag=True, help="Neither crop nor scale (F spaces only).")
@reading_options
@click.option(
    "--init",
    metavar="INIT",
    help="encoder, two-stage, mean, or a latent file. Default: in F spaces an encoder if one fits, "
    "else two-stage; mean elsewhere.",
)
@click.option(
    "--encoder",
    "encoder_file",
    metavar="FILE",
    type=FILE,
    help="Initialize with this encoder (`invert train encoder`).",
)
@click.option(
    "--init-steps", metavar="N", type=int, help="Updates in W+ before the F space (two-stage)."
)
@click.option(
    "--steps",
    metavar="N",
    type=int,
    help="Updates. Default: the preset's. 0: only render the init.",
)
@click.option(
    "--lr",
    metavar="RATE",
    type=float,
    help="Learning rate of styles and noise, except in a two-stage init.",
)
@click.option("--seed", metavar="N", type=int, default=0, show_default=True)
@click.option(
    "--half/--no-half",
    default=None,
    help="Optimize in bfloat16; results are in float32. Default: the preset's; fast and draft do "
    "so on a CPU known to be faster by it (AMX, AMD with AVX512).",
)
@click.option(
    "--perceptual",
    metavar="NAME",
    help="st-lpips-alex, st-lpips-vgg, lpips-alex, lpips-vgg, lpips-squeeze or none.",
)
@click.option(
    "--lpips-weights",
    metavar="FILE",
    type=FILE,
    help="Backbone weights from torchvision, for lpips-… distances.",
)
@click.option(
    "--dist-weight",
    metavar="WEIGHT",
    type=float,
    help="Keep the values distributed as in generated images (Sypetkowski 2021, section 7.2); "
    "0 turns it off.",
)
@click.option(
    "--out", metavar="FOLDER", type=FILE, default=Path("."), help="Default: the current folder."
)
@overwrite_option
@click.option(
    "--batch",
    metavar="auto|N",
    default="auto",
    show_default=True,
    callback=check_batch,
    help="How many photographs a GPU projects at once; auto: as many as its memory holds. "
    "A CPU projects them one by one.",
)
@click.option(
    "--save-progress",
    "progress_format",
    type=click.Choice(PROGRESS),
    help="Also write an animation of the run, NAME.progress.gif.",
)
@json_option
@network_option
@device_option
def project(
    images: tuple[Path, ...],
    space: str,
    preset: str,
    crop: str | None,
    face: int | None,
    keep_size: bool,
    background: str | None,
    frame: int | None,
    max_pixels: int | None,
    allow_truncated: bool,
    init: str | None,
    encoder_file: Path | None,
    init_steps: int | None,
    steps: int | None,
    lr: float | None,
    seed: int,
    half: bool | None,
    perceptual: str | None,
    lpips_weights: Path | None,
    dist_weight: float | None,
    out: Path,
    overwrite: bool,
    batch: int | None,
    progress_format: Literal["gif", "webp"] | None,
    as_json: bool,
    network: str,
    device: str,
) -> None:
    """Find latents whose images are close to photographs.

    For each photograph this writes NAME.pt (the latent), NAME.png (its image),
    NAME.compare.png (target, reconstruction, error) and NAME.json (settings and
    measurements).

    \b
    Example:
      invert project examples/portrait.png --space FNW5
    """
    from invert.encoders.encoder_files import load_encoder
    from invert.images.images import ReadOptions
    from invert.latents.spaces import Space
    from invert.projection.framing import Framing
    from invert.projection.outputs import output_paths
    from invert.projection.project_file import ProjectionJob
    from invert.projection.settings import preset as preset_settings

    # What to do with each photograph.
    target = Space.parse(space)
    changes = without_none(
        steps=steps,
        init_steps=init_steps,
        lr=lr,
        dist_weight=dist_weight,
        perceptual=perceptual,
        half=half,
    )
    settings = preset_settings(preset, target).replace(**changes)
    reading = ReadOptions(**reading_settings(background, frame, max_pixels, allow_truncated))
    job = ProjectionJob(
        target,
        settings,
        seed=check_seed(seed),
        framing=Framing(parse_crop(crop), face, keep_size, reading),
        progress_format=progress_format,
        lpips_weights=lpips_weights,
    )
    init_file = latent_file_of(init, encoder_file)

    # Where the results go.
    inputs = [
        *images,
        *(Path(x) for x in (network, init, encoder_file, lpips_weights) if x is not None),
    ]
    if all(map(os.path.isdir, images)):  # before a generator is loaded for nothing
        check_no_folder(images[0])
    names = output_paths(list(images), out, inputs)
    check_not_inputs([path for files in names for path in files.all()], inputs)
    claimed = claim_projections(images, names, progress_format, network, overwrite)
    say_new_names(images, names)

    # All weights, before the first photograph.
    generator = open_generator(network, device)
    start = init if init_file is None else load_latent(init_file, generator, force=False)
    encoder = load_encoder(encoder_file, generator) if encoder_file else None
    fetch_distances(settings)

    def tell(report: dict[str, Any]) -> None:
        if as_json:
            click.echo(json.dumps(report, sort_keys=True))
        else:
            say(summary(report))
        if init_steps is not None and report["start"] != "two-stage":
            say(f"--init-steps had no effect: the init was {report['start']}", err=True)
        if report["stop_reason"] == "interrupted":
            say(f"saved as it was; go on with --init {report['files']['latent']}", err=True)

    failures = Batch(len(images), "photographs")
    batches = PhotographBatches(generator, job, start, encoder, batch, failures, tell)
    batches.run([Task(*each) for each in zip(images, names, claimed, strict=True)])
    failures.finish()


def latent_file_of(init: str | None, encoder_file: Path | None) -> Path | None:
    """The latent file that --init names; None for a method of initialization.

    Raises :class:`UsageError` where --encoder is given as well, and for a file that is not there.
    """
    from invert.files.regular_files import is_missing
    from invert.projection.initialization import INIT_NAMES

    if init and encoder_file:
        raise UsageError("--init and --encoder both say where to start; give one")
    if init is None or init in INIT_NAMES:
        return None
    if is_missing(init):
        raise UsageError(
            f"--init {init}: expected {', '.join(INIT_NAMES)} or a latent file; no such file"
        )
    return Path(init)


def fetch_distances(settings: ProjectionSettings) -> None:
    """Download the distances of the loss and the report that are not in the cache.

    LPIPS, which the report alone wants, is downloaded with others and never on its own: who is
    offline waits for nothing.
    """
    from invert.projection.project_file import PUBLISHED_METRIC, distance_names
    from invert.weights import MODELS, cached

    loss, crop_loss, report_distances = distance_names(settings)
    wanted = (loss, crop_loss, *report_distances)
    names = [name for name in wanted if name is not None and name in MODELS]
    first_run = any(cached(name) is None for name in names)
    fetch(*names)
    if not report_distances:
        return

    if first_run:
        with contextlib.suppress(ModelUnavailableError):  # said below
            fetch(PUBLISHED_METRIC)
    if cached(PUBLISHED_METRIC) is None:
        say(
            f"{PUBLISHED_METRIC} is not measured; `invert download {PUBLISHED_METRIC}` fetches its "
            "weights, 64 MB once",
            err=True,
        )


def summary(report: dict[str, Any]) -> str:
    """One line about a projection."""
    metrics = report["metrics"]
    measured = [
        f"{name} {'not measured' if value is None else format(value, '.4f')}"
        for name, value in metrics.items()
        if "lpips" in name
    ]
    measured += [f"mse {metrics['mse']:.4f}", f"psnr {metrics['psnr']:.1f} dB"]
    done = "" if report["stop_reason"] in ("steps", "patience") else f"  ({report['stop_reason']})"
    return f"{report['files']['latent']}  {', '.join(measured)}{done}"
