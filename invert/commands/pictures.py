"""`invert render`: latents to pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.commands.batch import Batch
from invert.commands.command import Command
from invert.commands.destinations import (
    Destinations,
    check_not_inputs,
    claim,
    with_suffix_of,
)
from invert.commands.opening import (
    is_made_with,
    load_latent,
    newest,
    open_generator_of,
)
from invert.commands.options import (
    FILE,
    READING_PARAMETERS,
    device_option,
    force_option,
    latent_network_option,
    noise_option,
    overwrite_option,
    reading_options,
    reading_settings,
    refuse_given,
)
from invert.commands.parsing import check_seed
from invert.commands.tiled import write_tiled
from invert.commands.writing import write_picture
from invert.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from invert.generator import Generator
    from invert.images.image_files import ReadOptions
    from invert.latents.latent import Latent


@click.command(
    cls=Command,
    sections={
        "Photograph": ("photograph", *READING_PARAMETERS),
    },
)
@click.argument("latents", nargs=-1, type=FILE)
@latent_network_option
@click.option("-o", "--output", metavar="FILE", type=FILE, help="Default: NAME.render.png.")
@overwrite_option
@click.option(
    "--into",
    "photograph",
    metavar="FILE",
    type=FILE,
    help="Put the picture back into the photograph that it was cut from.",
)
@reading_options
@noise_option
@click.option(
    "--seed", metavar="N", type=int, default=0, show_default=True, help="For --noise random."
)
@click.option("--tiled", is_flag=True, help="Render in tiles: for pictures that fill the memory.")
@force_option
@device_option
def render(
    latents: tuple[Path, ...],
    network: str | None,
    output: Path | None,
    overwrite: bool,
    photograph: Path | None,
    background: str | None,
    frame: int | None,
    max_pixels: int | None,
    allow_truncated: bool,
    noise: Any,
    seed: int,
    tiled: bool,
    force: bool,
    device: str,
) -> None:
    """Render latents as pictures.

    LATENTS are latent files; by default the newest projection in this folder.

    With --into, the photograph is read as it was for the projection; --background,
    --frame, --max-pixels and --allow-truncated change that.

    With --tiled, memory grows with the width of the picture alone, and a picture may
    have any number of pixels. It is the same picture, but --noise random draws
    other noise.

    \b
    Examples:
      invert render portrait.pt -o again.png
      invert render group.smile+3.pt --into group.jpg -o smiling.png
    """
    check_seed(seed)
    if tiled and photograph is not None:
        raise UsageError("--into puts a whole picture into a photograph; leave out --tiled")
    if photograph is None:
        refuse_given(READING_PARAMETERS, "says how a photograph is read; give --into with it")
    if noise != "random":
        refuse_given(["seed"], "draws noise; give --noise random with it")
    chosen = list(latents) or [newest()]
    if output is not None and len(chosen) > 1:
        raise UsageError(
            f"--output takes one latent, got {len(chosen)}; leave it out for NAME.render.png"
        )
    if photograph is not None and output is not None and output.resolve() == photograph.resolve():
        raise UsageError(
            "--output is the photograph itself; it would be lost, write to another name than "
            f"{output}"
        )

    # Where each picture goes.
    batch = Batch(len(chosen), "latents")
    inputs = [*chosen, *(Path(x) for x in (network, photograph) if x is not None)]
    claimed: dict[Path, list[Destinations]] = {}
    pictures: set[Path] = set()
    for path in dict.fromkeys(chosen):
        with batch.attempt(path):
            claims = claim_pictures(path, output, photograph, overwrite)
            files = {each.outputs[0] for each in claims}
            check_not_inputs(files, inputs)
            if files & pictures:
                raise UsageError(
                    f"{path}: its picture would replace that of another; render it alone, with -o"
                )
            claimed[path] = claims
            pictures |= files

    changes = reading_settings(background, frame, max_pixels, allow_truncated)
    wholes: dict[ReadOptions, Image.Image] = {}  # the photograph as different latents read it
    generator: Generator | None = None
    for path, claims in claimed.items():
        with batch.attempt(path):
            if generator is None or not (network or is_made_with(generator, path)):
                generator = open_generator_of(path, network, device)
            if tiled:
                write_tiles(generator, path, claims, noise, seed, force)
                continue
            latent = load_latent(path, generator, force)
            images = generator.render(latent, noise, seed=seed)
            for k, (image, destinations) in enumerate(zip(images, claims, strict=True)):
                if photograph is None:
                    write_picture(image, destinations, shown=latent[k])
                    continue
                whole = paste_into(photograph, image[None], latent, changes, wholes)
                write_picture(whole, destinations)
    batch.finish()


def paste_into(
    photograph: Path,
    image: Tensor,
    latent: Latent,
    changes: Mapping[str, Any],
    read: dict[ReadOptions, Image.Image],
) -> Image.Image:
    """The photograph with a latent's picture [1, 3, H, W] in the place that the latent names.

    The photograph is read as for the projection but for `changes`, once for all latents that were
    projected alike: `read` has it.
    """
    from invert.images.images import read_image
    from invert.images.pasting import paste
    from invert.projection.framing import facts_of, reading_of

    facts = facts_of(latent)
    options = reading_of(facts, changes)
    if options not in read:
        read[options] = read_image(photograph, options)
    return paste(read[options], image, facts)


def write_tiles(
    generator: Generator,
    path: Path,
    claims: Sequence[Destinations],
    noise: Any,
    seed: int,
    force: bool,
) -> None:
    """Write the picture of each latent in a file in tiles."""
    from invert.latents.digests import picture_of
    from invert.tiling.parts import MAX_TILED_PIXELS, LatentParts

    latent = load_latent(path, generator, force, max_pixels=MAX_TILED_PIXELS)
    for k, destinations in enumerate(claims):
        parts = LatentParts(generator, latent[k], noise, seed=seed)
        write_tiled(generator, parts, parts.size, destinations, picture_of(latent[k]))


def claim_pictures(
    path: Path, output: Path | None, photograph: Path | None, overwrite: bool
) -> list[Destinations]:
    """A PNG for each latent in a file: NAME.render.png, with .0, .1, … if there are several."""
    from invert.commands.latents_read import read_latent
    from invert.latents.digests import latent_digest

    target = with_suffix_of(output or Path(f"{path.with_suffix('')}.render.png"), ".png")
    points = read_latent(path)
    files: list[Path | str] = [] if photograph is None else [photograph]
    claims = []
    for k in range(len(points)):
        where = (
            target if len(points) == 1 else target.with_name(f"{target.stem}.{k}{target.suffix}")
        )
        shown = [f"latent {latent_digest(points[k])}", *files]
        claims.append(claim("render", [where], files=shown, overwrite=overwrite))
    return claims
