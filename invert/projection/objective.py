"""What a projection minimizes: distances of an image to its target, and the regularizers ([S]
algorithm 4, eq. 7.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.generator import Generator
from invert.images.images import area_downscale
from invert.latents.latent import Latent
from invert.metrics.distribution_distance import distribution_parts
from invert.metrics.perceptual import PerceptualDistance, perceptual_size
from invert.projection.regularizers import distribution_regularization, noise_regularization
from invert.projection.settings import ProjectionSettings
from invert.projection.variables import Variables

CROP_SCALES = (1, 2, 4)  # a crop covers so many times its size in pixels, and is downscaled to it


@dataclass(frozen=True)
class Networks:
    """What a step renders and compares with: the generator, or its copy in half precision, and the
    perceptual distances
    of the whole image, downscaled, and of random crops. None: no such term."""

    generator: Generator
    whole: PerceptualDistance | None = None
    crop: PerceptualDistance | None = None


class Terms(NamedTuple):
    """What the objective is at a point."""

    loss: Tensor  # with every term, differentiable in the variables
    fit: float  # without the terms of noise and random crops: what the best point is chosen by
    perceptual: float  # distance of the whole image; nan without a perceptual network
    mse: float
    image: Tensor  # [1, 3, H, W] in [−1, 1] and a little beyond


class Objective:
    """The objective of a projection at one step: perceptual + mse + the regularizers the settings
    ask for.
    """

    def __init__(
        self,
        generator: Generator,
        image: Tensor,
        settings: ProjectionSettings,
        networks: Networks,
        seed: int,
    ) -> None:
        self.generator, self.image, self.settings, self.networks = (
            generator,
            image,
            settings,
            networks,
        )
        self.random = torch.Generator().manual_seed(seed)  # on the CPU, so devices agree
        self.size = perceptual_size(min(generator.image_size), image)
        self.target = None
        if networks.whole is not None:
            with torch.no_grad():
                self.target = networks.whole.embed(area_downscale(image, self.size))

    def __call__(self, variables: Variables, step: int) -> Terms:
        s = self.settings
        latent = variables.latent(self.w_noise(variables, step))
        rendered = self.networks.generator.render(latent).to(self.image.dtype)
        mse = F.mse_loss(rendered, self.image)
        loss = s.mse_weight * mse
        perceptual_value = math.nan
        whole = self.networks.whole
        if whole is not None and self.target is not None:
            distance = whole.between(
                whole.embed(area_downscale(rendered, self.size)), self.target
            ).sum()
            perceptual_value = distance.item()
            loss = loss + s.perceptual_weight * distance
        if variables.offsets and s.offset_weight:
            loss = loss + s.offset_weight * variables.offset_penalty()
        if s.dist_weight:
            loss = loss + s.dist_weight * distribution_loss(self.generator, latent)
        fit = loss.item()
        if self.networks.crop is not None and s.crop_weight:
            loss = loss + s.crop_weight * self.crop_distance(self.networks.crop, rendered)
        if variables.noise and s.noise_weight:
            loss = loss + s.noise_weight * noise_regularization(variables.noise)
        return Terms(loss, fit, perceptual_value, mse.item(), rendered.detach())

    def w_noise(self, variables: Variables, step: int) -> Tensor | None:
        """Normal noise for w, falling as t² until 75 % of the steps ([K] appendix D)."""
        t = 1 - step / max(self.settings.steps, 1) / 0.75
        if not self.settings.w_noise or t <= 0:
            return None
        scale = self.settings.w_noise * self.generator.statistics().w_std * t**2
        noise = torch.randn(variables.styles.shape, generator=self.random)
        return noise.to(variables.styles) * scale

    def crop_distance(self, distance: PerceptualDistance, rendered: Tensor) -> Tensor:
        """Distance of one random crop at a random scale, times that scale over the largest
        possible.

        The downscaled image is blind at full size. But distances grow towards it: unweighted,
        texture would win over
        the shapes of eyes.
        """
        sides = rendered.shape[2:]
        size = min(self.settings.crop_size, *sides)
        scales = [k for k in CROP_SCALES if k * size <= min(sides)]
        k = scales[int(torch.randint(len(scales), (), generator=self.random))]
        # whole cells of the downscaled image, so that no crop sees other pixels than the image as a
        # whole
        y, x = (
            k * int(torch.randint(side // k - size + 1, (), generator=self.random))
            for side in sides
        )
        window = (..., slice(y, y + k * size), slice(x, x + k * size))
        seen, target = (area_downscale(t[window], (size, size)) for t in (rendered, self.image))
        return distance(seen, target).sum() * (k / scales[-1])


def distribution_loss(generator: Generator, latent: Latent) -> Tensor | float:
    """[S] eq. 7.2 summed over styles, F and R, each against its own target."""
    parts = distribution_parts(generator, latent).values()
    return sum((distribution_regularization(v, t) for v, t in parts), 0.0)
