"""`invert measure fd-vgg16`: how far two sets of pictures are apart, by features of VGG16."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from invert.commands.bars import counted_calls
from invert.commands.command import Command
from invert.commands.destinations import Destinations, claim, with_suffix_of
from invert.commands.devices import pick_device, say_device
from invert.commands.facts import print_facts
from invert.commands.measure_sets import (
    MOMENTS_SUFFIX,
    SAMPLES_SECTION,
    SET_SECTION,
    SetOptions,
    check_sizes,
    set_options,
)
from invert.commands.opening import fetch
from invert.commands.options import FILE, json_option, overwrite_option
from invert.commands.terminal import say
from invert.errors import UsageError

if TYPE_CHECKING:
    from invert.generator import Generator
    from invert.metrics.picture_sets import PictureSet
    from invert.metrics.set_moments import SetMoments
    from invert.metrics.vgg16_features import VGG16Features


@click.command(
    "fd-vgg16",
    cls=Command,
    sections={
        "Pictures": SET_SECTION,
        "Samples": SAMPLES_SECTION,
        "Output": ("keep_a", "keep_b"),
    },
)
@set_options
@click.option(
    "--keep-a",
    metavar="FILE",
    type=FILE,
    help="Keep the moments of A in this .safetensors file, and go on from it.",
)
@click.option("--keep-b", metavar="FILE", type=FILE, help="The same for B, or for the samples.")
@overwrite_option
@json_option
def fd_vgg16(
    options: SetOptions,
    keep_a: Path | None,
    keep_b: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fréchet distance of two sets, by features of VGG16.

    A and B are folders of pictures, single pictures, which are cut into crops, or
    files that --keep-a or --keep-b left. Without B, A is compared with samples of
    --network.

    The features are those of lpips-vgg, relu5_3, averaged over the picture. This is
    not FID, and its numbers cannot be compared with FID's.

    \b
    Examples:
      invert measure fd-vgg16 photographs --network ffhq.pkl --seeds 0-9999
      invert measure fd-vgg16 earth.jpg samples --size 64
    """
    options.check()
    if keep_a is not None and keep_a == keep_b:
        raise UsageError("--keep-a and --keep-b name one file; each set needs its own")
    a, b = options.a, options.b
    inputs = [a, b, options.network]
    kept = [
        None if into is None else keep(path, into, inputs, options, overwrite)
        for path, into in ((a, keep_a), (b, keep_b))
    ]

    # Both sets are opened before either is measured.
    generator = options.generator()
    opened = [open_or_load(path, options, generator) for path in (a, b)]
    check_sizes(*(each.facts for each in opened))

    from invert.metrics.moments import frechet_distance
    from invert.metrics.vgg16_features import load_vgg16_features

    chosen = pick_device(options.device)
    say_device(chosen)
    fetch("lpips-vgg")
    features = load_vgg16_features(device=chosen)
    first, second = (
        measured(each, features, options.batch, into, overwrite)
        for each, into in zip(opened, kept, strict=True)
    )

    if dict(first.features) != dict(second.features):
        raise UsageError("the moments of A and B are of two networks; take those of one anew")
    distance = frechet_distance(first.moments, second.moments)
    if min(first.moments.count, second.moments.count) < 2 * len(first.moments.mean):
        say(
            f"remark: of fewer than {2 * len(first.moments.mean)} pictures the distance is "
            "larger than of many; compare only numbers of equally many",
            err=True,
        )
    print_facts(
        {
            "fd_vgg16": distance,
            "a": dict(first.facts),
            "b": dict(second.facts),
            "features": dict(first.features),
        },
        as_json,
    )


def keep(
    path: Path | None,
    into: Path,
    inputs: Sequence[Path | str | None],
    options: SetOptions,
    overwrite: bool,
) -> Destinations:
    """Where the moments of a set are kept; none of the `inputs` may lie there."""
    if path is not None and is_moments(path):
        raise UsageError(f"{path}: these moments are kept already; leave out the file for them")
    with_suffix_of(into, MOMENTS_SUFFIX)
    return claim(
        "measure fd-vgg16", [into], settings=inputs, overwrite=overwrite, **options.sources(path)
    )


def is_moments(path: Path) -> bool:
    """Whether a path names a file of moments rather than pictures."""
    return path.suffix == MOMENTS_SUFFIX and not path.is_dir()


def open_or_load(
    path: Path | None, options: SetOptions, generator: Generator | None
) -> PictureSet | SetMoments:
    """The moments in a file, or the pictures at a path; for None the samples."""
    from invert.metrics.set_moments import load_moments

    if path is not None and is_moments(path):
        return load_moments(path)
    return options.pictures(path, generator)


def measured(
    opened: PictureSet | SetMoments,
    features: VGG16Features,
    batch: int | None,
    into: Destinations | None,
    overwrite: bool,
) -> SetMoments:
    """The moments of a set, continued from the file that keeps them and kept there."""
    from invert.metrics.set_moments import SetMoments, load_moments, measure_set, save_moments

    if isinstance(opened, SetMoments):
        return opened

    # What an earlier call kept; with --overwrite it is forgotten.
    so_far, save = None, None
    if into is not None:
        [path] = into.outputs
        if path.exists() and not overwrite:
            so_far = load_moments(path)
            say(f"{path}: goes on from {so_far.moments.count} pictures", err=True)
        else:
            into.ready()

        def save(moments: SetMoments) -> None:
            save_moments(moments, path, into.record)

    with counted_calls(len(opened), "image") as update:
        return measure_set(opened, features, batch=batch, so_far=so_far, keep=save, callback=update)
