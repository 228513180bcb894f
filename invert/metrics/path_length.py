"""Perceptual path length: how far pictures move where the latent moves by a little (PPL).

T. Karras, S. Laine and T. Aila, "A Style-Based Generator Architecture for Generative Adversarial
Networks", CVPR 2019, section 4.1; [K] takes it between end points in W.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from invert.arguments import check_kinds, check_seeds
from invert.errors import UsageError
from invert.generator import Generator, NoiseMode
from invert.hardware.precision import full_precision
from invert.images.images import area_downscale
from invert.latents.latent import Latent
from invert.metrics.generated import sampled, with_w
from invert.metrics.perceptual import PERCEPTUAL_SIDE, PerceptualDistance
from invert.metrics.picture_sets import batch_size

DISCARDED = 1.0  # percent of the lengths, at either end


@dataclass(frozen=True)
class PathSettings:
    """How a path is sampled and seen.

    space     W: straight lines between two w; Z: great circles between two z
    sampling  "end": at the beginning of the path; "full": anywhere on it
    epsilon   the step along the path, whose whole length is 1
    crop      compare the face: rows 3/8 to 7/8 and columns 2/8 to 6/8 of the picture, as for FFHQ
    noise     of both pictures of a step
    """

    space: Literal["W", "Z"] = "W"
    sampling: Literal["end", "full"] = "end"
    epsilon: float = 1e-4
    crop: bool = False
    noise: NoiseMode = "random"

    def __post_init__(self) -> None:
        check_kinds(self)
        if self.space not in ("W", "Z") or self.sampling not in ("end", "full"):
            raise UsageError(
                "expected the space W or Z and the sampling end or full, "
                f"got {self.space!r} and {self.sampling!r}"
            )
        if not 0 < self.epsilon <= 0.1:
            raise UsageError(f"epsilon is a number in (0, 0.1], got {self.epsilon:g}")


def path_lengths(
    generator: Generator,
    distance: PerceptualDistance,
    seeds: Sequence[int],
    *,
    settings: PathSettings = PathSettings(),
    label: int | None = None,
    batch: int | None = None,
    callback: Callable[[int], None] | None = None,
) -> Tensor:
    """d(g(t), g(t + ε)) / ε² of the path of each seed, float64 [N] on the CPU.

    The path begins at `generator.sample(seed)`. `callback` gets the number of paths after each
    batch. Raises :class:`UsageError` for pictures below 32 px.
    """
    seeds = check_seeds(seeds)
    step = batch_size(generator.image_size, batch)
    lengths = []
    for start in range(0, len(seeds), step):
        part = seeds[start : start + step]
        first, second = step_ends(generator, part, settings=settings, label=label)
        with torch.inference_mode(), full_precision():
            a, b = (seen(generator.render(x), settings.crop) for x in (first, second))
            lengths.append(distance(a, b).cpu().double() / settings.epsilon**2)
        if callback is not None:
            callback(start + len(part))
    return torch.cat(lengths)


def step_ends(
    generator: Generator,
    seeds: Sequence[int],
    *,
    settings: PathSettings = PathSettings(),
    label: int | None = None,
) -> tuple[Latent, Latent]:
    """The points at t and t + ε of the path of each seed."""
    # Both ends of the path and t, all of the seed; then the noise.
    draws = [np.random.RandomState(seed) for seed in seeds]
    z = [torch.from_numpy(np.stack([d.randn(generator.z_dim) for d in draws])) for _ in range(2)]
    t = torch.from_numpy(np.stack([d.random_sample(1) for d in draws]))
    if settings.sampling == "end":
        t = torch.zeros_like(t)
    point = sampled(generator, seeds, label=label, noise=settings.noise)
    c = generator.sample(seeds, label=label, space="Z").label

    # In float64 up to the mapping network: ε is near the rounding of float32.
    times = (t, t + settings.epsilon)
    if settings.space == "Z":
        ws = [to_w(generator, slerp(z[0], z[1], time), c) for time in times]
    else:
        w = [to_w(generator, end, c).cpu().double() for end in z]
        ws = [(w[0] + time * (w[1] - w[0])).to(generator.device, generator.dtype) for time in times]
    return with_w(point, ws[0]), with_w(point, ws[1])


def to_w(generator: Generator, z: Tensor, label: Tensor | None) -> Tensor:
    """w [N, w_dim] of z in float64."""
    return generator.mapping(z.to(generator.dtype), label)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Unit vectors [N, D] at t [N, 1] of the way from a to b, on the great circle through both."""
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (a, b))
    cosine = (a * b).sum(1, keepdim=True)
    across = b - cosine * a
    across = across / across.norm(dim=1, keepdim=True)
    angle = t * cosine.clamp(-1, 1).arccos()
    return a * angle.cos() + across * angle.sin()


def seen(images: Tensor, crop: bool) -> Tensor:
    """The images as they are compared: perhaps cropped, and averaged to 256 px on a side."""
    if crop:
        h, w = images.shape[2] // 8, images.shape[3] // 8
        images = images[:, :, 3 * h : 7 * h, 2 * w : 6 * w]
    return area_downscale(images, PERCEPTUAL_SIDE)


def without_extremes(lengths: Tensor, percent: float = DISCARDED) -> Tensor:
    """The lengths [n] between their percentiles `percent` and 100 − `percent`, both included."""
    values = lengths.numpy()
    low = np.percentile(values, percent, method="lower")
    high = np.percentile(values, 100 - percent, method="higher")
    return lengths[(lengths >= low) & (lengths <= high)]


def perceptual_path_length(lengths: Tensor) -> float:
    """PPL: the mean of the lengths [N] without the 1 % of either end."""
    return without_extremes(lengths).mean().item()
