"""Distances of a latent's parts from those that its generator makes ([S] chapter 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from invert.generator import Generator
from invert.latents.distributions import wasserstein
from invert.latents.latent import Latent


def distribution_parts(generator: Generator, latent: Latent) -> dict[str, tuple[Tensor, Tensor]]:
    """The values of each part of a latent, and the sorted values of generated ones.

    Keys are "styles", "features" and "rgb", as present; values are [N, …] and [m], ascending. The
    z of a Z space is no such part.
    """
    parts: dict[str, tuple[Tensor, Tensor]] = {}
    if latent.space.base != "Z":
        styles = latent.styles
        if isinstance(styles, tuple):
            styles = torch.cat([s.flatten(1) for s in styles], 1)
        parts["styles"] = styles, generator.target_distribution("styles")

    for name in ("features", "rgb"):
        value = getattr(latent, name)
        # F_1 is one learned constant and has no distribution to speak of
        if value is not None and latent.space.first > 1:
            parts[name] = (value, generator.target_distribution(name, latent.space.layer))
    return parts


def distribution_distances(generator: Generator, latent: Latent) -> dict[str, float]:
    """Wasserstein-1 distance of each part of a latent to generated ones ([S] chapter 7)."""
    parts = distribution_parts(generator, latent.to(generator.device, generator.dtype))
    return {name: wasserstein(v.detach(), t).mean().item() for name, (v, t) in parts.items()}
