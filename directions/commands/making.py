"""`invert directions learn`, `exemplars`, `pca` and `sefa`: directions from scores, examples and
the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from directions.commands.options import (
    RENAMED,
    claim_all,
    count_option,
    direction_file,
    folder_option,
    meaning_option,
    name_option,
    output_option,
    psi_option,
    styles_option,
    write,
    write_all,
)
from invert.commands.command import Command
from invert.commands.destinations import check_folder, claim
from invert.commands.opening import DEFAULT_NETWORK, open_generator, open_generator_for, open_styles
from invert.commands.options import (
    FILE,
    device_option,
    network_option,
    overwrite_option,
    point_network_option,
)
from invert.commands.parsing import check_seed, parse_points


@click.command(cls=Command, renamed=RENAMED)
@click.argument("table", metavar="CSV", type=FILE)
@name_option
@click.option(
    "--kind",
    type=click.Choice(["auto", "logistic", "linear"]),
    default="auto",
    show_default=True,
    help="Regression; auto is logistic if the scores have two values.",
)
@click.option(
    "--against",
    metavar="NAME|FILE",
    multiple=True,
    help="Make it orthogonal to this direction; repeatable.",
)
@styles_option
@meaning_option
@psi_option
@click.option(
    "--seed",
    metavar="N",
    type=int,
    default=0,
    show_default=True,
    help="Seed of the split into training and held-out rows.",
)
@output_option
@overwrite_option
@point_network_option
@device_option
def learn(
    table: Path,
    name: str,
    kind: Any,
    against: tuple[str, ...],
    styles: str | None,
    meaning: str,
    psi: float,
    seed: int,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    device: str,
) -> None:
    """Learn a direction from scores.

    CSV has rows `seed,score` or `latent file,score`. A latent in W+ counts as the
    mean of its styles in the range, one with features as its companion.

    \b
    Examples:
      invert directions learn scores.csv --name beard --against gender
      invert edit --direction beard.safetensors
    """
    from directions.catalog import find
    from directions.regression import learn as learn_direction
    from directions.scored_samples import read_scores, style_vectors
    from directions.w_space import WSpace

    path = direction_file(output, name)
    rows = read_scores(table)
    others = [find(other) for other in against]
    destinations = claim(
        "directions learn",
        [path],
        files=[table],
        network=network or DEFAULT_NETWORK,
        settings=[*rows.samples, *against],
        overwrite=overwrite,
    )
    generator = open_generator_for(rows.samples, network, device)
    for other in others:
        other.check_generator(generator)
    limits = open_styles(generator, styles)
    ws = style_vectors(generator, rows.samples, psi=psi, places=rows.places)
    learned = learn_direction(
        ws,
        rows.scores,
        name=name,
        space=WSpace.from_generator(generator),
        kind=kind,
        against=others,
        styles=limits,
        meaning=meaning,
        seed=check_seed(seed),
    )
    write(learned, destinations)


@click.command(cls=Command, renamed=RENAMED)
@click.option(
    "--positive",
    metavar="SEEDS|FILE",
    multiple=True,
    required=True,
    help="Seeds or latent files that have the attribute; repeatable.",
)
@click.option(
    "--negative",
    metavar="SEEDS|FILE",
    multiple=True,
    required=True,
    help="Similar ones that lack it; repeatable.",
)
@name_option
@styles_option
@meaning_option
@psi_option
@output_option
@overwrite_option
@point_network_option
@device_option
def exemplars(
    positive: tuple[str, ...],
    negative: tuple[str, ...],
    name: str,
    styles: str | None,
    meaning: str,
    psi: float,
    output: Path | None,
    overwrite: bool,
    network: str | None,
    device: str,
) -> None:
    """Make a direction from a few examples.

    It is the difference between the mean of the positive and the mean of the
    negative ones.

    \b
    Examples:
      invert directions exemplars --positive 1,a.pt --negative 4-6 --name beard
      invert edit --direction beard.safetensors
    """
    from directions.exemplars import from_exemplars
    from directions.scored_samples import style_vectors
    from directions.w_space import WSpace

    path = direction_file(output, name)
    with_it, without = parse_points(positive), parse_points(negative)
    destinations = claim(
        "directions exemplars",
        [path],
        latents=with_it + without,
        network=network or DEFAULT_NETWORK,
        overwrite=overwrite,
    )
    generator = open_generator_for(with_it + without, network, device)
    limits = open_styles(generator, styles)
    ws = style_vectors(generator, with_it + without, psi=psi)  # together: W+ for all if for any
    made = from_exemplars(
        ws[: len(with_it)],
        ws[len(with_it) :],
        name=name,
        space=WSpace.from_generator(generator),
        styles=limits,
        meaning=meaning,
    )
    write(made, destinations)


@click.command(cls=Command, renamed=RENAMED)
@count_option
@click.option("--samples", metavar="N", type=int, help="Number of samples of W.")
@styles_option
@folder_option
@overwrite_option
@network_option
@device_option
def pca(
    count: int,
    samples: int | None,
    styles: str | None,
    output: Path,
    overwrite: bool,
    network: str,
    device: str,
) -> None:
    """Find the principal components of W (GANSpace).

    The first file has the direction along which W varies most.

    \b
    Examples:
      invert directions pca --count 10 -o components
      invert edit --direction components/pca-0.safetensors
    """
    from directions.pca import SAMPLES, principal_directions

    destinations = claim_all(
        "directions pca", [f"pca-{k}" for k in range(count)], output, network, overwrite
    )
    generator = open_generator(network, device)
    limits = open_styles(generator, styles)
    number = SAMPLES if samples is None else samples
    write_all(principal_directions(generator, count, samples=number, styles=limits), destinations)


@click.command(cls=Command, renamed=RENAMED)
@count_option
@styles_option
@folder_option
@overwrite_option
@network_option
@device_option
def sefa(
    count: int, styles: str | None, output: Path, overwrite: bool, network: str, device: str
) -> None:
    """Factorize the affine layers (SeFa).

    The first file has the direction that the affine layers amplify most.

    \b
    Example:
      invert directions sefa --styles 0-7 --count 10 -o factors
    """
    from directions.sefa import factor_name, factorize

    check_folder(output)
    generator = open_generator(network, device)
    limits = open_styles(generator, styles)
    names = [factor_name(limits or (0, generator.num_ws), k) for k in range(count)]
    destinations = claim_all("directions sefa", names, output, network, overwrite)
    write_all(factorize(generator, limits, count), destinations)
