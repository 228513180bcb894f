"""`invert project`: photographs to latents."""

from __future__ import annotations

import json
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.commands.bars import progress_bar
from invert.commands.batch import Batch
from invert.commands.destinations import Destinations, check_not_inputs, claim, is_ours
from invert.commands.opening import fetch, load_latent, open_generator
from invert.commands.options import (
    FILE,
    device_option,
    json_option,
    network_option,
    overwrite_option,
    reading,
    reading_options,
)
from invert.commands.parsing import check_seed, parse_crop
from invert.commands.terminal import say
from invert.errors import ImageError, UsageError

if TYPE_CHECKING:
    from invert.latents.latent import Latent
    from invert.projection.outputs import OutputPaths

PROGRESS = ("gif", "webp")
# of a folder, for a hint
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")


@click.command(no_args_is_help=True)
@click.argument("images", nargs=-1, required=True, type=FILE)
@click.option(
    "--space", default="FNW5", show_default=True, help="W, NW+, SW+, FNW5, FNSW5, … any layer."
)
@network_option
@click.option("--out", type=FILE, default=Path("."), help="Folder; the current one by default.")
@overwrite_option
@click.option("--preset", default="fast", show_default=True, help="fast, thesis or stylegan2.")
@click.option("--steps", type=int, help="Updates; the preset's by default. 0 renders the start.")
@click.option("--init-steps", type=int, help="Updates of the W+ start of F… spaces.")
@click.option(
    "--init",
    metavar="START",
    help="encoder, two-stage, mean, or a latent file. An encoder where one fits, by default.",
)
@click.option(
    "--encoder",
    "encoder_file",
    type=FILE,
    help="Start from what this encoder sees (`invert train encoder`).",
)
@click.option(
    "--lr", type=float, help="Learning rate of styles and noise; not that of a two-stage start."
)
@click.option(
    "--dist-weight",
    type=float,
    help="Keeps values distributed like generated ones ([S] 7.2); 0: not.",
)
@click.option(
    "--perceptual",
    help="st-lpips-alex, st-lpips-vgg, lpips-alex, lpips-vgg, lpips-squeeze or none.",
)
@click.option(
    "--half",
    is_flag=True,
    help="Steps in bfloat16, for processors that have it; the result in full.",
)
@click.option("--trunk", type=FILE, help="Weights file of torchvision for lpips-… losses.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--crop",
    help="face, centre, or x,y,side in pixels. By default the face for generators of FFHQ's W space, "
    "like ffhq-mobile, unless it lies as in FFHQ already, and the centre for others.",
)
@click.option("--face", type=int, help="Which face, from 0 at the left; the largest by default.")
@click.option("--keep-size", is_flag=True, help="No crop to a square, no scaling (F… spaces).")
@reading_options
@click.option("--save-progress", type=click.Choice(PROGRESS), help="Also write NAME.progress.gif.")
@device_option
@json_option
def project(
    images: tuple[Path, ...],
    space: str,
    network: str,
    out: Path,
    overwrite: bool,
    device: str,
    as_json: bool,
    **o: Any,
) -> None:
    """Find latents whose images are close to photographs.

    Writes per photograph NAME.pt (the latent), NAME.png (its image), NAME.compare.png (target,
    reconstruction, error)
    and NAME.json (settings and measurements).

    \b
    Example:  invert project examples/portrait.png --space FNW5
    """
    from invert.encoders.encoder_files import load_encoder
    from invert.images.images import ReadOptions
    from invert.latents.spaces import Space
    from invert.projection.framing import Framing
    from invert.projection.initialization import INIT_NAMES
    from invert.projection.outputs import output_paths
    from invert.projection.project_file import ProjectionJob, distance_names, project_file
    from invert.projection.settings import preset

    target = Space.parse(space)
    knobs = ("steps", "init_steps", "lr", "dist_weight", "perceptual", "half")
    settings = preset(o["preset"], target).replace(**{k: o[k] for k in knobs if o[k] is not None})
    framing = Framing(parse_crop(o["crop"]), o["face"], o["keep_size"], ReadOptions(**reading(o)))
    job = ProjectionJob(
        target, settings, seed=check_seed(o["seed"]), framing=framing, progress_format=o["save_progress"],
        trunk=o["trunk"],
    )  # fmt: skip
    if o["init"] and o["encoder_file"]:
        raise UsageError("--init and --encoder both say where to start; give one")
    start: str | None = o["init"]
    init: Latent | str | None = start
    if start is not None and start not in INIT_NAMES and not Path(start).exists():
        raise UsageError(
            f"--init {start}: expected {', '.join(INIT_NAMES)} or a latent file; no such file"
        )
    inputs = [
        *images,
        *(Path(x) for x in (network, start, o["encoder_file"], o["trunk"]) if x is not None),
    ]
    if all(source.is_dir() for source in images):  # before a generator is loaded for nothing
        check_no_folder(images[0])
    names = output_paths(list(images), out, inputs)
    check_not_inputs([path for files in names for path in files.all()], inputs)
    claimed = []
    for source, files in zip(images, names, strict=True):
        outputs = [
            *files.all(),
            *([files.progress(job.progress_format)] if job.progress_format else []),
        ]
        claimed.append(
            claim("project", outputs, files=[source], network=network, overwrite=overwrite)
        )
    for source, files in zip(images, names, strict=True):
        if files.latent.stem != source.stem or files.image.stem != source.stem:
            say(f"{source}: goes to {files.latent}, {files.image.name}", err=True)

    generator = open_generator(network, device)
    if start is not None and start not in INIT_NAMES:
        init = load_latent(Path(start), generator, force=False)
    encoder = load_encoder(o["encoder_file"], generator) if o["encoder_file"] else None
    asked, cropped, reported = distance_names(settings)
    fetch(*filter(None, (asked, cropped, *reported)))
    batch = Batch(len(images), "photographs")
    for source, files, destinations in zip(images, names, claimed, strict=True):
        with batch.attempt(source), progress_bar(files.latent.stem) as bar:
            check_no_folder(source)
            report = project_file(
                generator,
                source,
                files,
                job,
                init=init,
                encoder=encoder,
                callback=bar,
                record=destinations.record,
                write=partial(destinations.write, remove=stale_progress(files, destinations)),
            )
            if as_json:
                click.echo(json.dumps(report, sort_keys=True))
            else:
                say(summary(report))
            if report["stop_reason"] == "interrupted":
                say(f"saved as it was; go on with --init {report['files']['latent']}", err=True)
                raise KeyboardInterrupt
    batch.finish()


def stale_progress(files: OutputPaths, destinations: Destinations) -> list[Path]:
    """Animations of an earlier projection of the photograph, which would lie beside the new one's
    files.
    """
    paths = [files.progress(kind) for kind in PROGRESS]
    return [
        path for path in paths if path not in destinations.outputs and is_ours(path, destinations)
    ]


def check_no_folder(source: Path) -> None:
    """Nothing for a file. Raises :class:`ImageError` for a folder, with what to type for the
    pictures in it.
    """
    if not source.is_dir():
        return
    suffixes = sorted({path.suffix for path in source.iterdir() if path.suffix.lower() in PICTURES})
    if not suffixes:
        raise ImageError(f"{source}: a folder, and no pictures in it; name picture files")
    patterns = " ".join(f"{shlex.quote(str(source))}/*{suffix}" for suffix in suffixes)
    raise ImageError(f"{source}: a folder; name the pictures in it: invert project {patterns}")


def summary(report: dict[str, Any]) -> str:
    """One line about a projection."""
    m = report["metrics"]
    measured = [f"{name} {m[name]:.4f}" for name in m if "lpips" in name]
    measured += [f"mse {m['mse']:.4f}", f"psnr {m['psnr']:.1f} dB"]
    done = "" if report["stop_reason"] == "steps" else f"  ({report['stop_reason']})"
    return f"{report['files']['latent']}  {', '.join(measured)}{done}"
