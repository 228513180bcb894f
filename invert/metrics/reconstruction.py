"""How close a projection is: to its image, and to what its generator makes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from invert.generator import Generator
from invert.hardware.precision import full_precision
from invert.images.images import area_downscale
from invert.latents.latent import Latent
from invert.metrics.distribution_distance import distribution_distances
from invert.metrics.perceptual import PERCEPTUAL_SIDE, PerceptualDistance


def reconstruction_metrics(
    image: Tensor, target: Tensor, distances: list[PerceptualDistance]
) -> dict[str, float]:
    """Errors of `image` against `target`, both [1, 3, H, W], by name.

    Both are clipped to [−1, 1] and area-downscaled so that the short side has 256 px. "mse" is of
    [−1, 1] values, "psnr" in dB with peak 2; every perceptual distance has its own name.
    """
    scale = min(1.0, PERCEPTUAL_SIDE / min(image.shape[2:]))
    size = (round(image.shape[2] * scale), round(image.shape[3] * scale))
    small, small_target = (area_downscale(t.to(image).clamp(-1, 1), size) for t in (image, target))

    # PSNR = 10 log10(peak² / MSE), with peak 2.
    mse = (small - small_target).square().mean().item()
    result = {"mse": mse, "psnr": 10 * math.log10(4 / mse) if mse else math.inf}

    with torch.inference_mode(), full_precision():
        for distance in distances:
            result[distance.name] = distance(small, small_target).item()
    return result


def projection_metrics(
    generator: Generator,
    latent: Latent,
    image: Tensor,
    target: Tensor,
    distances: list[PerceptualDistance],
) -> dict[str, Any]:
    """:func:`reconstruction_metrics`, and "wasserstein" distances to generated latents, by part."""
    return {
        **reconstruction_metrics(image, target, distances),
        "wasserstein": distribution_distances(generator, latent),
    }
