"""Generators and latents from what the user named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from invert.commands.bars import download_bar
from invert.commands.devices import pick_device, say_device
from invert.commands.parsing import Point, parse_styles
from invert.commands.terminal import say
from invert.errors import FingerprintError, ModelFileError

if TYPE_CHECKING:
    from invert.generator import Generator
    from invert.latents.latent import Latent
    from invert.latents.layer_ranges import StyleRange

DEFAULT_NETWORK = "ffhq-mobile"


def open_generator(network: str, device: str) -> Generator:
    """The generator, with a bar for a first download; says on which device.

    Sets the CPU allocator before the first tensor.
    """
    from invert.hardware.allocator import keep_large_blocks

    keep_large_blocks()
    chosen = pick_device(device)
    say_device(chosen)
    fetch(network)
    from invert.loading import load_generator

    return load_generator(network, device=chosen)


def fetch(*names: str) -> None:
    """Download what is not in the cache, with a bar for each; names that no registered model has
    are passed over.
    """
    from invert.weights import MODELS, cached, ensure

    for name in names:
        if name in MODELS and cached(name, verify=True) is None:
            with download_bar(name) as report:
                ensure(name, progress=report)


def open_generator_of(path: Path, network: str | None, device: str) -> Generator:
    """The generator that is asked for, or the one the latent file was made with.

    That is looked for under its registered name, at the places that the latent remembers, and by
    its weights beside the latent and in the current folder. Raises :class:`ModelFileError` where it
    is not found.
    """
    from invert.commands.latents_read import read_latent
    from invert.latents.network_files import find_network

    if network is not None:
        return open_generator(network, device)
    latent = read_latent(path)

    # Where it was: another file may lie there, also one that is no network.
    of_other_weights: Generator | None = None
    problem: ModelFileError | None = None
    for known in known_networks(latent, path.parent):
        try:
            generator = open_generator(known, device)
        except ModelFileError as error:
            problem = problem or error
            continue
        if generator.fingerprint == latent.fingerprint:
            return generator
        of_other_weights = of_other_weights or generator

    # Moved or renamed.
    found = find_network(latent, [path.parent, Path(".")])
    if found is not None:
        say(f"{path}: its network is {found} now, by its weights", err=True)
        return open_generator(str(found), device)
    if of_other_weights is None:
        raise problem or ModelFileError(missing_network(path, latent))
    return of_other_weights  # refused, unless --force takes it


def is_made_with(generator: Generator, path: Path) -> bool:
    """Whether the latent in a file is one of the generator."""
    from invert.commands.latents_read import read_latent

    return read_latent(path).fingerprint == generator.fingerprint


def known_networks(latent: Latent, folder: Path) -> list[str]:
    """The networks that a latent in `folder` remembers, likeliest first: files that are there, each
    once, or a registered name.
    """
    from invert.latents.network_files import recorded_paths
    from invert.weights import BUNDLED, MODELS

    places = recorded_paths(latent.metadata, folder)
    if not places:
        name = str(latent.metadata.get("generator") or DEFAULT_NETWORK)
        return [name] if name in MODELS or name in BUNDLED else []

    there: dict[str, str] = {}
    for place in filter(os.path.isfile, places):
        there.setdefault(os.path.realpath(place), str(place))
    return list(there.values())


def missing_network(path: Path, latent: Latent) -> str:
    """The error for a latent whose network is not found: where it should be, and what to do."""
    from invert.latents.network_files import recorded_paths

    name = str(latent.metadata.get("generator", ""))
    places = recorded_paths(latent.metadata, path.parent)
    where = f"not at {places[-1]}" if places else "not a registered one"
    return (
        f"{path}: its network {name} (fingerprint {latent.fingerprint[:12]}) is {where}, and no "
        "file beside the latent or in the current folder has its weights; name it with "
        "--network FILE"
    )


def open_generator_for(points: Sequence[Point], network: str | None, device: str) -> Generator:
    """The generator that is asked for, or that of the first latent file; for seeds alone the
    default one.
    """
    for point in points:
        if isinstance(point, Path):
            return open_generator_of(point, network, device)
    return open_generator(network or DEFAULT_NETWORK, device)


def open_latents(
    points: Sequence[Point],
    network: str | None,
    device: str,
    *,
    force: bool = False,
    psi: float = 1.0,
    label: int | None = None,
) -> tuple[Generator, list[Latent]]:
    """The generator of :func:`open_generator_for`, and the latents of all files and seeds.

    `psi` and `label` are for seeds, which are sampled in W.
    """
    generator = open_generator_for(points, network, device)
    return generator, [
        load_latent(p, generator, force)
        if isinstance(p, Path)
        else generator.sample(p, psi=psi, label=label)
        for p in points
    ]


def load_latent(
    path: Path, generator: Generator, force: bool, *, max_pixels: int | None = None
) -> Latent:
    """The latent, checked against the generator; with `force` claimed for it.

    It remembers where the generator's file is now.
    """
    from invert.arguments import MAX_PIXELS
    from invert.commands.latents_read import read_latent

    latent, limit = read_latent(path), max_pixels or MAX_PIXELS
    if force:
        return generator.adopt(latent, max_pixels=limit)
    try:
        generator.check(latent, max_pixels=limit)
    except FingerprintError as error:
        raise FingerprintError(f"{path}: {error}") from error
    return generator.with_reference(latent)


def newest() -> Path:
    """The newest projection in the current folder, named on stderr."""
    from invert.projection.outputs import newest_projection

    path = newest_projection(Path("."))
    say(f"using {path}", err=True)
    return path


def open_styles(generator: Generator, text: str | None) -> StyleRange | None:
    """The half-open range that --styles names, as 0-7 or coarse; None where it is not given."""
    from invert.latents.layer_ranges import style_range

    return None if text is None else style_range(generator.network, parse_styles(text))
