"""What a projection minimizes: distances of an image to its target, and regularizers.

[S] algorithm 4 and eq. 7.2, [K] appendix D.
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
from invert.projection.variables import Variables

CROP_SCALES = (1, 2, 4)  # k: a crop is a window of k · size pixels, downscaled to size
W_NOISE_END = 0.75  # fraction of the steps after which w gets no noise any more, [K] appendix D


@dataclass(frozen=True)
class Networks:
    """The networks that each step runs, in full or half precision.

    generator  renders the point
    whole      perceptual distance of the whole image, downscaled; None: no such term
    crop       perceptual distance of one random crop per step; None: no such term
    """

    generator: Generator
    whole: PerceptualDistance | None = None
    crop: PerceptualDistance | None = None


class Terms(NamedTuple):
    """The value of the objective at one point."""

    loss: Tensor  # with every term, differentiable in the variables
    # Without the terms of noise and random crops; the best point has the lowest. While w gets
    # noise, it is measured with that noise, which the point itself does not have.
    fit: float
    perceptual: float  # distance of the whole image; nan without a perceptual network
    mse: float
    image: Tensor  # [1, 3, H, W] in [−1, 1] and a little beyond


class Objective:
    """The objective of one projection: the distance of image x to target y, and regularizers.

        L = λ_mse · mean (x − y)²  +  λ_perc · |φ(x↓) − φ(y↓)|²
          + λ_crop · k / k_max · |φ'(x_crop) − φ'(y_crop)|²
          + λ_dist · Σ MSE(sort(S), T)  +  λ_noise · L_noise  +  λ_offset · Σ mean (o²)

    The first two terms and λ_noise are in [S] algorithm 4, L_noise in [K] appendix D, λ_dist in [S]
    eq. 7.2; the terms of random crops and of the offsets o of style maps are ours.

    `image` [1, 3, H, W] in [−1, 1] is y. `generator`, in full precision, gives the distributions T;
    `networks.generator`, which renders x, may be a copy in bfloat16. `seed` is that of the random
    numbers that :func:`optimize` draws for each stage.
    """

    def __init__(
        self, generator: Generator, image: Tensor, networks: Networks, seed: int = 0
    ) -> None:
        self.generator = generator
        self.image = image
        self.networks = networks
        self.seed = seed

        # The target's side of the perceptual distance is the same in every step.
        self.size = perceptual_size(min(generator.image_size), image)
        self.target = None
        if networks.whole is not None:
            with torch.no_grad():
                self.target = networks.whole.embed(area_downscale(image, self.size))

    def __call__(self, variables: Variables, step: int, random: torch.Generator) -> Terms:
        """The terms at the point of `variables`, weighted as their settings say."""
        s = variables.settings

        # Render the point; [K] adds noise to w in the first three quarters of the steps.
        latent = variables.latent(self.w_noise(variables, step, random))
        image = self.networks.generator.render(latent).to(self.image.dtype)

        # Squared error, λ_mse · mean (x − y)².
        mse = F.mse_loss(image, self.image)
        loss = s.mse_weight * mse

        # Perceptual distance of the whole image, λ_perc · |φ(x↓) − φ(y↓)|².
        perceptual = math.nan
        whole = self.networks.whole
        if whole is not None and self.target is not None:
            embedded = whole.embed(area_downscale(image, self.size))
            distance = whole.between(embedded, self.target).sum()
            perceptual = distance.item()
            loss = loss + s.perceptual_weight * distance

        # Style maps stay near vectors: λ_offset · Σ mean (o²), a map being a base vector plus o.
        if variables.offsets and s.offset_weight:
            loss = loss + s.offset_weight * variables.offset_penalty()

        # The parts keep the distributions of generated points ([S] eq. 7.2).
        if s.dist_weight:
            loss = loss + s.dist_weight * distribution_loss(self.generator, latent)

        # The two terms that follow do not choose the best point: a lucky crop would win, and the
        # noise term weighs so much (4e5) that rounding errors would decide.
        fit = loss.item()

        # Perceptual distance of one random crop: λ_crop · k / k_max · |φ'(x_crop) − φ'(y_crop)|².
        if self.networks.crop is not None and s.crop_weight:
            crop = crop_distance(self.networks.crop, image, self.image, s.crop_size, random)
            loss = loss + s.crop_weight * crop

        # Noise maps stay white ([K] appendix D).
        if variables.noise and s.noise_weight:
            loss = loss + s.noise_weight * noise_regularization(variables.noise)

        return Terms(loss, fit, perceptual, mse.item(), image.detach())

    def w_noise(self, variables: Variables, step: int, random: torch.Generator) -> Tensor | None:
        """Normal noise for w of deviation w_noise · σ_w · t² ([K] appendix D), or none.

        t falls linearly from 1 to 0 at 75 % of the steps.
        """
        s = variables.settings
        t = 1 - step / max(s.steps, 1) / W_NOISE_END
        if not s.w_noise or t <= 0:
            return None
        scale = s.w_noise * self.generator.statistics().w_std * t**2
        noise = torch.randn(variables.styles.shape, generator=random)
        return noise.to(variables.styles) * scale


def crop_distance(
    distance: PerceptualDistance,
    image: Tensor,
    target: Tensor,
    crop_size: int,
    random: torch.Generator,
) -> Tensor:
    """Distance of one random crop at a random scale, times that scale over the largest possible.

    The downscaled whole image says nothing about details of full size, so crops are compared too.
    But distances grow with resolution: unweighted, texture would win over the shapes of eyes.
    """
    # The scale: a crop covers k · size pixels and is downscaled to size.
    sides = image.shape[2:]
    size = min(crop_size, *sides)
    scales = [k for k in CROP_SCALES if k * size <= min(sides)]
    k = scales[int(torch.randint(len(scales), (), generator=random))]

    # The corner, in whole pixels of the downscaled image: a crop is exactly a part of it.
    y, x = (k * int(torch.randint(side // k - size + 1, (), generator=random)) for side in sides)

    window = (..., slice(y, y + k * size), slice(x, x + k * size))
    crops = [area_downscale(t[window], (size, size)) for t in (image, target)]
    return distance(*crops).sum() * (k / scales[-1])


def distribution_loss(generator: Generator, latent: Latent) -> Tensor | float:
    """[S] eq. 7.2, Σ MSE(sort(S), T): values S of styles, F and R, T their sorted generated values.

    The equation is `regularizers.distribution_regularization`, the pairs (S, T) are from
    `metrics.distribution_distance`, and T from `latents.distributions`.
    """
    parts = distribution_parts(generator, latent).values()
    return sum((distribution_regularization(v, t) for v, t in parts), 0.0)
