"""Points of seeds as measures sample them: one place that knows how a network is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from invert.generator import Generator, NoiseMode
from invert.latents.conversion import constant_noise
from invert.latents.latent import Latent


def sampled(
    generator: Generator,
    seeds: Sequence[int],
    *,
    psi: float = 1.0,
    label: int | None = None,
    noise: NoiseMode = "random",
) -> Latent:
    """A point of W+ for each seed, with the noise maps that its picture is rendered with.

    Each depends on its own seed alone, whatever else is in the batch. Where the generator's latent
    is a map, the point has an F_i of the seed ([S] chapter 8), and "random" noise is that of the
    seed's plane, as `sample` draws both in FNW_i. Elsewhere the maps of "random" noise, with which
    [K] measures, are drawn after the seed.
    """
    network, drawn = generator.network, generator.network.latent_map is not None
    space = f"FNW{network.first}" if drawn else "NW+"
    latent = generator.sample(seeds, psi=psi, label=label, space=space)
    assert latent.noise is not None
    if noise == "random":
        return latent if drawn else latent.replace(noise=random_noise(latent, seeds))
    if noise == "none":
        return latent.replace(noise=tuple(torch.zeros_like(n) for n in latent.noise))
    sizes = generator.check(latent)
    return latent.replace(noise=tuple(constant_noise(network, latent.space, sizes, len(latent))))


def random_noise(latent: Latent, seeds: Sequence[int]) -> tuple[Tensor, ...]:
    """Noise maps for a point that has others, by a torch generator for each seed."""
    assert latent.noise is not None
    drawn = []
    for seed in seeds:
        random = torch.Generator().manual_seed(seed)
        shapes = [(1, *n.shape[1:]) for n in latent.noise]
        drawn.append([torch.randn(s, generator=random, dtype=torch.float32) for s in shapes])
    return tuple(torch.cat(each).to(latent.noise[0]) for each in zip(*drawn, strict=True))


def w_of(latent: Latent) -> Tensor:
    """The w [N, w_dim] of :func:`sampled` points, whose layers all have it."""
    return latent.style_tensor()[:, 0]


def with_w(latent: Latent, w: Tensor) -> Latent:
    """Such points with another w [N, w_dim] in every layer; gradients flow to it."""
    return latent.replace(styles=w[:, None].expand_as(latent.style_tensor()))


def sample_facts(
    generator: Generator,
    seeds: Sequence[int],
    *,
    psi: float = 1.0,
    label: int | None = None,
    noise: NoiseMode = "random",
) -> dict[str, Any]:
    """What a report says about samples."""
    return {
        "network": generator.name,
        "fingerprint": generator.fingerprint,
        "seeds": seeds_text(seeds),
        "count": len(seeds),
        "psi": psi,
        "class": label,
        "noise": noise,
    }


def seeds_text(seeds: Sequence[int]) -> str:
    """Seeds as users type them: 0-3,7."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ",".join(f"{a}-{b}" if b > a else f"{a}" for a, b in runs)
