"""`invert import-latent` and `export-latent`: latents of other projects in, ours out."""

from __future__ import annotations

from pathlib import Path

import click

from invert.commands.command import Command
from invert.commands.destinations import claim, with_twin
from invert.commands.opening import load_latent, open_generator, open_generator_of
from invert.commands.options import (
    FILE,
    device_option,
    force_option,
    latent_network_option,
    network_option,
    output_option,
    overwrite_option,
)
from invert.commands.terminal import say
from invert.commands.writing import write_edited
from invert.errors import ModelFileError, UsageError

FORMATS = ("projected-w", "npy", "e4e", "pti")
FORMAT_OF_SUFFIX = {".npz": "projected-w", ".npy": "npy", ".pt": "e4e"}


@click.command("import-latent", cls=Command)
@click.argument("file", type=FILE)
@network_option
@click.option("--key", metavar="NAME", help="Which array, if the file has several.")
@click.option("--index", metavar="N", type=int, help="Only this latent, from 0. Default: all.")
@click.option(
    "--rows-are-points",
    is_flag=True,
    help="Read an array [n, w_dim] as n codes in W, not as one code with n layers.",
)
@output_option
@overwrite_option
@device_option
def import_latent(
    file: Path,
    network: str,
    key: str | None,
    index: int | None,
    rows_are_points: bool,
    output: Path | None,
    overwrite: bool,
    device: str,
) -> None:
    """Import latents of other projects.

    FILE is a projected_w.npz, a .npy, or a .pt of e4e, PTI or rosinality's projector.
    This writes a latent and its picture beside it: NAME.pt and NAME.png, with .0, .1,
    … if there are several.

    \b
    Examples:
      invert import-latent projected_w.npz --network ffhq.pkl
      invert edit projected_w.pt --direction smile
    """
    from invert.latents.foreign_latents import read_points, to_latent

    # The points that are asked for.
    points = read_points(file, key=key, rows_are_points=rows_are_points)
    if index is not None:
        if not 0 <= index < len(points):
            raise UsageError(
                f"--index is {index}, the file holds {len(points)}: expected 0 to {len(points) - 1}"
            )
        points = [points[index]]
    if output is not None and len(points) > 1:
        raise UsageError(
            f"--output takes one point, the file holds {len(points)}; choose one with --index"
        )

    # Where they go.
    places = (
        [output] if output is not None else places_beside(file, [point.name for point in points])
    )
    sources = [f"point {k if index is None else index}" for k in range(len(points))]
    claimed = [
        claim(
            "import-latent",
            with_twin(place),
            files=[file, source],
            network=network,
            overwrite=overwrite,
        )
        for place, source in zip(places, sources, strict=True)
    ]

    generator = open_generator(network, device)
    try:
        latents = [to_latent(generator, point) for point in points]
    except UsageError as error:
        raise ModelFileError(f"{file}: {error}") from error
    for (latent, remark), destinations in zip(latents, claimed, strict=True):
        say(f"{destinations.outputs[0].stem}: {remark}", err=True)
        write_edited(generator, latent, destinations)


def places_beside(file: Path, names: list[str]) -> list[Path]:
    """A picture's place for each point, named after the file and the pictures that it names."""
    stem = file.stem
    if file.suffix == ".pt":  # NAME.pt is the file itself
        stem = f"{stem}.imported"
    if len(names) == 1:
        return [file.with_name(f"{stem}.png")]
    stems = [Path(name.replace("\\", "/")).stem for name in names]
    plain = all(s.isprintable() and 0 < len(s) <= 80 for s in stems) and len(set(stems)) == len(
        stems
    )
    return [file.with_name(f"{stem}.{part if plain else k}.png") for k, part in enumerate(stems)]


@click.command("export-latent", cls=Command)
@click.argument("latent", type=FILE)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="Default: what the suffix of -o says, else projected-w (NVIDIA's .npz).",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=FILE,
    help="Default: NAME.projected_w.npz, NAME.npy, NAME.latents.pt or NAME.pti.pt.",
)
@overwrite_option
@latent_network_option
@force_option
@device_option
def export_latent(
    latent: Path,
    kind: str | None,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    force: bool,
    device: str,
) -> None:
    """Export a latent for other projects.

    A latent of Z, W or W+ is written as one w for each layer.

    \b
    Example:
      invert export-latent portrait.pt --format npy
    """
    from invert.errors import SpaceError
    from invert.files.atomic_files import write_set
    from invert.latents.foreign_latents import ENDINGS, encode_points

    # --format and the suffix of -o say the same, or one of them says it.
    suffix = None if output is None else output.suffix.lower()
    chosen = kind or FORMAT_OF_SUFFIX.get(suffix or ".npz")
    if chosen is None or (suffix is not None and not ENDINGS[chosen].endswith(suffix)):
        expected = " or ".join(FORMAT_OF_SUFFIX) if kind is None else Path(ENDINGS[kind]).suffix
        raise UsageError(f"{output}: expected a name that ends in {expected}")
    path = output or Path(f"{latent.with_suffix('')}{ENDINGS[chosen]}")
    destinations = claim(
        "export-latent", [path], latents=[latent], settings=[network], overwrite=overwrite
    )

    generator = open_generator_of(latent, network, device)
    try:
        data = encode_points(generator, load_latent(latent, generator, force), chosen)
    except SpaceError as error:
        raise SpaceError(f"{latent}: {error}") from error
    write_set({destinations.ready(): data})
    say(path)
