"""`invert measure fid`, `kid` and `precision-recall`: torch-fidelity's numbers of two sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.commands.bars import counted_calls
from invert.commands.command import Command
from invert.commands.devices import pick_device, say_device
from invert.commands.facts import print_facts
from invert.commands.measure_sets import (
    SAMPLES_SECTION,
    SET_SECTION,
    SetOptions,
    check_sizes,
    set_options,
)
from invert.commands.options import FILE, json_option
from invert.commands.parsing import check_seed

if TYPE_CHECKING:
    from torch import Tensor

SECTIONS = {"Pictures": SET_SECTION, "Samples": SAMPLES_SECTION}
inception_option = click.option(
    "--inception",
    metavar="FILE",
    type=FILE,
    required=True,
    help="torch-fidelity's weights-inception-2015-12-05-6726825d.pth.",
)


@click.command(cls=Command, sections=SECTIONS)
@set_options
@inception_option
@json_option
def fid(
    options: SetOptions,
    inception: Path,
    as_json: bool,
) -> None:
    """Fréchet Inception distance of two sets.

    A and B are folders of pictures, or single pictures, which are cut into crops.
    Without B, A is compared with samples of --network. Needs the package
    torch-fidelity, whose number it is.

    \b
    Example:
      invert measure fid photographs --inception FILE --network ffhq.pkl
    """
    from invert.metrics.inception import inception_distance

    first, second, facts = both_features(options, inception)
    print_facts({"fid": inception_distance(first, second), **facts}, as_json)


@click.command(
    cls=Command, sections={**SECTIONS, "Subsets": ("subsets", "subset_size", "subset_seed")}
)
@set_options
@inception_option
@json_option
@click.option(
    "--subsets", metavar="N", type=int, default=100, show_default=True, help="Random subsets."
)
@click.option(
    "--subset-size", metavar="N", type=int, default=1000, show_default=True, help="Of each set."
)
@click.option(
    "--subset-seed",
    metavar="N",
    type=int,
    default=2020,
    show_default=True,
    help="Of the subsets.",
)
def kid(
    options: SetOptions,
    inception: Path,
    as_json: bool,
    subsets: int,
    subset_size: int,
    subset_seed: int,
) -> None:
    """Kernel Inception distance of two sets.

    The mean over random subsets, and its standard deviation. A, B and --network are
    as for `invert measure fid`.

    \b
    Example:
      invert measure kid photographs --inception FILE --network ffhq.pkl
    """
    from invert.metrics.inception import kernel_distance

    check_seed(subset_seed)
    first, second, facts = both_features(options, inception)
    mean, std = kernel_distance(
        first, second, subsets=subsets, subset_size=subset_size, seed=subset_seed
    )
    how = {"count": subsets, "size": subset_size, "seed": subset_seed}
    print_facts({"kid": mean, "std": std, "subsets": how, **facts}, as_json)


@click.command("precision-recall", cls=Command, sections=SECTIONS)
@set_options
@inception_option
@json_option
@click.option(
    "--neighbours",
    metavar="K",
    type=int,
    default=3,
    show_default=True,
    help="The distance of the K-th is what counts as near.",
)
def precision_recall(
    options: SetOptions,
    inception: Path,
    as_json: bool,
    neighbours: int,
) -> None:
    """Precision and recall of generated pictures.

    Precision is the share of B that is near pictures of A, recall the share of A
    that is near pictures of B: A is real, B generated. A, B and --network are as for
    `invert measure fid`.

    \b
    Example:
      invert measure precision-recall photographs --inception FILE
    """
    from invert.metrics.inception import precision_recall as measure

    first, second, facts = both_features(options, inception)
    precision, recall = measure(first, second, neighbours=neighbours)
    print_facts(
        {"precision": precision, "recall": recall, "neighbours": neighbours, **facts}, as_json
    )


def both_features(options: SetOptions, inception: Path) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Inception's features of A and of B or the samples, and what a report says about them."""
    from invert.metrics.inception import inception_features, load_inception

    # All is opened before anything is measured.
    options.check()
    generator = options.generator()
    sets = [options.pictures(path, generator) for path in (options.a, options.b)]
    check_sizes(*(pictures.facts for pictures in sets))
    chosen = pick_device(options.device)
    say_device(chosen)
    network = load_inception(inception, device=chosen)

    features = []
    for pictures in sets:
        with counted_calls(len(pictures), "image") as update:
            features.append(
                inception_features(pictures, network, batch=options.batch, callback=update)
            )
    facts = {"a": sets[0].facts, "b": sets[1].facts, "features": network.facts}
    return features[0], features[1], facts
