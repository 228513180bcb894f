"""`invert directions import` and `measure`: directions of others, and whether they are any here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from directions.commands.options import (
    RENAMED,
    direction_file,
    meaning_option,
    name_option,
    output_option,
    psi_option,
    styles_option,
    write,
)
from invert.commands.command import Command
from invert.commands.destinations import claim
from invert.commands.opening import open_generator, open_styles
from invert.commands.options import (
    FILE,
    device_option,
    json_option,
    network_option,
    overwrite_option,
)
from invert.commands.terminal import say
from invert.errors import ModelFileError

if TYPE_CHECKING:
    from directions.diagnostics import Measurement
    from directions.direction import Direction
    from directions.w_space import WSpace

RESEMBLING = 0.4  # cosine with an attribute; random ones of 512 values lie below 0.18
TURNING = 0.05  # standard deviations of an attribute per σ; the sign of less says nothing


@click.command("import", cls=Command, renamed=RENAMED)
@click.argument("file", type=FILE)
@name_option
@click.option("--key", metavar="NAME", help="Which array, if the file has several.")
@click.option("--index", metavar="N", type=int, help="Which direction of a set, from 0.")
@click.option(
    "--sign",
    type=click.Choice(["1", "-1"]),
    help="-1 reverses it. Default: whichever gives more of the attribute that NAME or FILE names.",
)
@click.option(
    "--check", is_flag=True, help="Refuse a direction that looks like noise in this W space."
)
@styles_option
@meaning_option
@output_option
@overwrite_option
@network_option
@device_option
def import_file(
    file: Path,
    name: str,
    key: str | None,
    index: int | None,
    sign: str | None,
    check: bool,
    styles: str | None,
    meaning: str,
    output: Path | None,
    overwrite: bool,
    network: str,
    device: str,
) -> None:
    """Import a direction of another project.

    FILE is a .npy, .npz or .pt of InterFaceGAN, GANSpace, SeFa and the like.

    \b
    Examples:
      invert directions import age.npy --name age2 --check
      invert edit --direction age2.safetensors
    """
    from directions.importers import import_direction
    from directions.w_space import WSpace

    path = direction_file(output, name)
    destinations = claim(
        "directions import", [path], files=[file], network=network, overwrite=overwrite
    )
    generator = open_generator(network, device)
    limits, space = open_styles(generator, styles), WSpace.from_generator(generator)

    def read(turned: int) -> Direction:
        return import_direction(
            file,
            name=name,
            space=space,
            key=key,
            index=index,
            sign=turned,
            styles=limits,
            meaning=meaning,
            num_ws=generator.num_ws,
        )

    direction = read(int(sign or 1))
    measured = compare(direction, space)
    if check and not measured.meaningful:
        raise ModelFileError(
            f"{file}: {measured.verdict}; import it without --check to try it all the same"
        )
    if sign is None and is_turned(measured, [name, file.stem, key or ""]):
        direction = read(-1)
    write(direction, destinations)


def is_turned(measured: Measurement, names: Sequence[str]) -> bool:
    """Whether + is less of the attribute that the first of the names tells; says so, or what + is
    where none does.
    """
    from directions.naming import named_attribute

    leakage, cosines = measured.leakage, measured.cosines
    attribute = named_attribute(names, leakage)
    if attribute is not None and leakage[attribute] < -TURNING:
        say(f"turned round: in the file, + is less {attribute}; --sign 1 leaves it so", err=True)
        return True

    # A name that tells nothing, or says that less is meant.
    nearest = max(cosines, key=lambda name: abs(cosines[name]), default=None)
    if attribute is None and nearest is not None and abs(cosines[nearest]) > RESEMBLING:
        more = "less" if leakage[nearest] < 0 else "more"
        say(
            f"+ is {more} {nearest} (cosine {cosines[nearest]:+.2f}); --sign -1 turns it round",
            err=True,
        )
    return False


@click.command(cls=Command)
@click.argument("direction")
@click.option(
    "--held-out",
    metavar="CSV",
    type=FILE,
    help="Scores of other images, as for `invert directions learn`.",
)
@psi_option
@json_option
@network_option
@device_option
def measure(
    direction: str, held_out: Path | None, psi: float, as_json: bool, network: str, device: str
) -> None:
    """Compare a direction with noise, attributes and scores.

    DIRECTION is a name (`invert directions list`) or a file. The output lists how
    much each known attribute changes along it.

    \b
    Example:
      invert directions measure smile
    """
    from directions.catalog import find
    from directions.diagnostics import measure as measure_direction
    from directions.scored_samples import read_scores, style_vectors
    from directions.w_space import WSpace

    chosen, table = find(direction), read_scores(held_out) if held_out else None
    generator = open_generator(network, device)
    chosen.check_generator(generator)
    space = WSpace.from_generator(generator)
    sample = None
    if table is not None:
        ws = style_vectors(generator, table.samples, psi=psi, places=table.places)
        sample = ws, table.scores
    measured = measure_direction(chosen, space, scores_of(space), held_out=sample)
    if as_json:
        click.echo(json.dumps(measured.to_json(), sort_keys=True))
        return
    say(measured.verdict)
    if measured.correlation is not None:
        say(f"correlation with {held_out}: {measured.correlation:.3f}")
    for name, value in measured.leakage.items():
        cosine = measured.cosines[name]
        say(f"{name:18} {value:+.3f} standard deviations per σ, cosine {cosine:+.3f}")


def compare(direction: Direction, space: WSpace) -> Measurement:
    """A direction of an unknown attribute against random vectors and the known attributes."""
    from directions.diagnostics import measure as measure_direction

    # An attribute with the same name would not count as one that it resembles.
    return measure_direction(replace(direction, name="unknown"), space, scores_of(space))


def scores_of(space: WSpace) -> list[Direction]:
    """The linear scores of known attributes that belong to a W space."""
    from directions.catalog import scores

    return [score for score in scores() if score.w_space == space.name]
