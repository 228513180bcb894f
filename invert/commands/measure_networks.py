"""`invert measure ppl`, `resolutions` and `jacobian`: numbers about a generator alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from invert.commands.bars import counted_calls
from invert.commands.command import Command
from invert.commands.facts import print_facts
from invert.commands.measure_sets import batch_option, noise_option, psi_option
from invert.commands.opening import fetch, open_generator
from invert.commands.options import class_option, device_option, json_option, network_option
from invert.commands.parsing import parse_seeds

if TYPE_CHECKING:
    from torch import Tensor

QUANTILES = (0, 10, 25, 50, 75, 90, 100)  # percent


@click.command(cls=Command, sections={"Paths": ("space", "sampling", "epsilon", "crop")})
@click.option(
    "--seeds", metavar="SEEDS", default="0-9999", show_default=True, help="One path for each."
)
@click.option(
    "--space",
    type=click.Choice(["W", "Z"]),
    default="W",
    show_default=True,
    help="Lines between two w, or great circles between two z.",
)
@click.option(
    "--sampling",
    type=click.Choice(["end", "full"]),
    default="end",
    show_default=True,
    help="Measure at the beginning of each path, or anywhere on it.",
)
@click.option(
    "--epsilon",
    metavar="STEP",
    type=float,
    default=1e-4,
    show_default=True,
    help="Step along the path, whose length is 1.",
)
@click.option("--crop", is_flag=True, help="Compare the middle of faces, as is usual for FFHQ.")
@class_option
@noise_option
@batch_option
@json_option
@network_option
@device_option
def ppl(
    seeds: str,
    space: Any,
    sampling: Any,
    epsilon: float,
    crop: bool,
    label: int | None,
    noise: Any,
    batch: int | None,
    as_json: bool,
    network: str,
    device: str,
) -> None:
    """Perceptual path length: how smooth the latent space is.

    The LPIPS distance (VGG) of two pictures that are a small step apart in W or Z,
    divided by the square of the step, on average over paths between random points
    (Karras et al. 2019 and 2020). The 1 % of the shortest and of the longest are
    left out.

    \b
    Example:
      invert measure ppl --network ffhq.pkl --seeds 0-49999 --device cuda
    """
    from invert.commands.records import file_digest
    from invert.metrics.generated import sample_facts
    from invert.metrics.path_length import (
        PathSettings,
        path_lengths,
        perceptual_path_length,
        without_extremes,
    )
    from invert.metrics.perceptual import load_perceptual
    from invert.weights import ensure

    settings = PathSettings(space, sampling, epsilon, crop, noise)
    chosen = parse_seeds(seeds)
    generator = open_generator(network, device)
    fetch("lpips-vgg")
    distance = load_perceptual("lpips-vgg", device=generator.device)
    with counted_calls(len(chosen), "path") as update:
        lengths = path_lengths(
            generator,
            distance,
            chosen,
            settings=settings,
            label=label,
            batch=batch,
            callback=update,
        )

    facts = sample_facts(generator, chosen, label=label, noise=noise)
    print_facts(
        {
            "ppl": perceptual_path_length(lengths),
            "paths": {
                "space": space,
                "sampling": sampling,
                "epsilon": epsilon,
                "crop": crop,
                "left_out": len(lengths) - len(without_extremes(lengths)),
                "quantiles": quantiles(lengths),
            },
            "samples": facts,
            "features": {"network": "lpips-vgg", "sha256": file_digest(ensure("lpips-vgg"))},
        },
        as_json,
    )


@click.command(cls=Command)
@click.option(
    "--seeds", metavar="SEEDS", default="0-1023", show_default=True, help="Of the samples."
)
@psi_option
@class_option
@noise_option
@batch_option
@json_option
@network_option
@device_option
def resolutions(
    seeds: str,
    psi: float,
    label: int | None,
    noise: Any,
    batch: int | None,
    as_json: bool,
    network: str,
    device: str,
) -> None:
    """What each resolution adds to the pictures.

    The picture of a StyleGAN2 is the sum of an RGB image per resolution. The command
    prints the standard deviation of each, and its share of their sum (Karras et al.
    2020, figure 8).

    \b
    Example:
      invert measure resolutions --network ffhq.pkl
    """
    from invert.metrics.generated import sample_facts
    from invert.metrics.resolutions import resolution_shares

    chosen = parse_seeds(seeds)
    generator = open_generator(network, device)
    with counted_calls(len(chosen), "image") as update:
        addends, std = resolution_shares(
            generator, chosen, psi=psi, label=label, noise=noise, batch=batch, callback=update
        )
    facts = sample_facts(generator, chosen, psi=psi, label=label, noise=noise)
    print_facts(
        {
            "share": {f"{max(a.size)}": a.share for a in addends},
            "std": {**{f"{max(a.size)}": a.std for a in addends}, "picture": std},
            "samples": facts,
        },
        as_json,
    )


@click.command(cls=Command)
@click.option("--seeds", metavar="SEEDS", default="0-15", show_default=True, help="Of the points.")
@click.option(
    "--rank",
    metavar="N",
    type=int,
    help="Find the N largest singular values alone, nearly: for large pictures. Default: all.",
)
@psi_option
@class_option
@noise_option
@json_option
@network_option
@device_option
def jacobian(
    seeds: str,
    rank: int | None,
    psi: float,
    label: int | None,
    noise: Any,
    as_json: bool,
    network: str,
    device: str,
) -> None:
    """Spectrum of the Jacobian with respect to w, path lengths.

    At the w of each seed: the singular values of the derivative of the picture, and
    the length of its transpose times a random picture, which path length
    regularization makes constant (Karras et al. 2020, appendix C). Both are divided
    by the root of the number of pixels.

    --json also prints the spectrum relative to its largest value, mean and standard
    deviation over the points.

    \b
    Example:
      invert measure jacobian --network church.pkl --rank 32
    """
    from invert.metrics.generated import sample_facts
    from invert.metrics.jacobian import jacobians

    chosen = parse_seeds(seeds)
    generator = open_generator(network, device)
    with counted_calls(len(chosen), "point") as update:
        spectra, lengths = jacobians(
            generator, chosen, rank=rank, psi=psi, label=label, noise=noise, callback=update
        )

    relative = spectra / spectra[:, :1]
    facts: dict[str, Any] = {
        "path_length": {
            "mean": lengths.mean().item(),
            "std": lengths.std(correction=0).item(),
            "quantiles": quantiles(lengths),
        },
        "singular_values": {
            "count": spectra.shape[1],
            "largest": spectra[:, 0].mean().item(),
            "quantiles": quantiles(spectra.flatten()),
        },
        "samples": sample_facts(generator, chosen, psi=psi, label=label, noise=noise),
    }
    if rank is None:
        facts["frobenius"] = spectra.norm(dim=1).mean().item()
    if as_json:
        facts["relative_spectrum"] = {
            "mean": relative.mean(0).tolist(),
            "std": relative.std(0, correction=0).tolist(),
        }
    print_facts(facts, as_json)


def quantiles(values: Tensor) -> dict[str, float]:
    """Percentiles of the values [n], by "0%" to "100%"."""
    import numpy as np

    found = np.percentile(values.numpy(), QUANTILES)
    return {f"{q}%": float(value) for q, value in zip(QUANTILES, found, strict=True)}
