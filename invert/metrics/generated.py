"""Points of seeds as measures sample them: one place that knows how a network is sampled."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from invert.generator import Generator, NoiseMode
from invert.latents.latent import Latent


def sampled(
    generator: Generator,
    seeds: Sequence[int],
    *,
    psi: float = 1.0,
    label: int | None = None,
    noise: NoiseMode = "random",
) -> Latent:
    """A point for each seed, with the noise maps that its picture is rendered with.

    Each depends on its own seed alone, whatever else is in the batch. The maps of "random" noise,
    with which [K] measures, are drawn after the seed.
    """
    latent = generator.convert(generator.sample(seeds, psi=psi, label=label), "NW+")
    assert latent.noise is not None
    if noise == "none":
        return latent.replace(noise=tuple(torch.zeros_like(n) for n in latent.noise))
    if noise == "const":
        return latent

    # One torch generator per point.
    drawn = []
    for seed in seeds:
        random = torch.Generator().manual_seed(seed)
        drawn.append([torch.randn(1, *n.shape[1:], generator=random) for n in latent.noise])
    maps = (torch.cat(each).to(latent.noise[0]) for each in zip(*drawn, strict=True))
    return latent.replace(noise=tuple(maps))
