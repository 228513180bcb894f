"""What a projection minimizes: distances of images to their targets, and regularizers.

[S] algorithm 4 and eq. 7.2, [K] appendix D.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from invert.generator import Generator
from invert.images.images import area_downscale
from invert.latents.distributions import group_means
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.metrics.distribution_distance import distribution_parts
from invert.metrics.perceptual import PerceptualDistance, perceptual_size
from invert.projection.adam import over
from invert.projection.crop import Targets, crop_distance
from invert.projection.regularizers import (
    distribution_regularization,
    noise_regularization,
    squared_error,
)
from invert.projection.step_inputs import InputSequence, StepInputs
from invert.projection.variables import Variables


@dataclass(frozen=True)
class Networks:
    """The networks that each step runs, in full or half precision.

    generator  renders the points
    whole      perceptual distance of the whole image, downscaled; None: no such term
    crop       perceptual distance of one crop per step; None: no such term
    """

    generator: Generator
    whole: PerceptualDistance | None = None
    crop: PerceptualDistance | None = None


class Terms(NamedTuple):
    """The value of the objective at N points; tensors are [N] but for the images."""

    loss: Tensor  # with every term, differentiable in the variables
    # Without the terms of noise and crops; the best point has the lowest. While w gets
    # noise, it is measured with that noise, which the point itself does not have.
    fit: Tensor
    perceptual: Tensor  # distance of the whole image; nan without a perceptual network
    mse: Tensor
    image: Tensor  # [N, 3, H, W] in [−1, 1] and a little beyond, or the smaller picture


class Objective:
    """The objective of N projections: the distance of image x to target y, and regularizers.

        L = λ_mse · mean (x − y)²  +  λ_perc · |φ(x↓) − φ(y↓)|²
          + λ_crop · k / k_max · |φ'(x_crop) − φ'(y_crop)|²
          + λ_dist · Σ MSE(sort(S), T)  +  λ_noise · L_noise  +  λ_offset · Σ mean (o²)

    The first two terms and λ_noise are in [S] algorithm 4, L_noise in [K] appendix D, λ_dist in [S]
    eq. 7.2; the terms of crops and of the offsets o of style maps are ours. λ_perc may begin lower
    (`perceptual_start`). Every image has a loss of its own.

    `image` [N, 3, H, W] in [−1, 1] is y. `generator`, in full precision, gives the distributions T;
    `networks.generator`, which renders x, may be a copy in bfloat16. `seed` is that of the random
    numbers of each stage (:meth:`inputs`).
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

        # The target of smaller pictures has that size, too. What they lack is measured on the way.
        self.small = area_downscale(image, self.size)
        self.missing = torch.zeros_like(self.small)

        self.crop_targets: Targets = {}

        # T, by part and by its number of values.
        self.generated: dict[tuple[str, int], Tensor] = {}

    def part(self, numbers: Sequence[int]) -> Objective:
        """The objective of some of the images; itself for all of them."""
        if len(numbers) == len(self.image):
            return self
        return Objective(self.generator, self.image[list(numbers)], self.networks, self.seed)

    def state(self) -> list[Tensor]:
        """The tensors that belong to the images."""
        return [self.image, self.small, self.missing, *(self.target or ())]

    def inputs(self, variables: Variables) -> InputSequence:
        """The inputs of every step of a stage, from the seed on."""
        s = variables.settings
        height, width = self.image.shape[2:]
        return InputSequence(
            s,
            self.image.device,
            self.image.dtype,
            (height, width),
            preview_size(self.generator, variables.init.space, self.size[0] / height),
            self.size,
            variables.styles[:1].shape,
            self.deviation(variables.init.space) if s.w_noise else 0.0,
            self.networks.crop is not None and s.crop_weight > 0,
            torch.Generator().manual_seed(self.seed),  # on the CPU, so that devices agree
        )

    def deviation(self, space: Space) -> float:
        """σ_w; in Z spaces the same of z, √z_dim."""
        if space.base == "Z":
            return math.sqrt(self.generator.z_dim)
        return self.generator.statistics().w_std

    def __call__(self, variables: Variables, inputs: StepInputs) -> Terms:
        """The terms at the points of `variables`, weighted as their settings say."""
        s = variables.settings

        # Render the points; [K] adds noise to w in the first three quarters of the steps.
        latent = variables.latent(inputs.w_noise)
        image, target = self.pictures(latent, inputs)

        # Squared error, λ_mse · mean (x − y)².
        mse = squared_error(image, target)
        loss = s.mse_weight * mse

        # Perceptual distance of the whole image, λ_perc · |φ(x↓) − φ(y↓)|²; λ_perc may rise.
        perceptual = torch.full_like(mse, torch.nan)
        weight = s.perceptual_weight * inputs.perceptual.to(mse.dtype)
        whole = self.networks.whole
        if whole is not None and self.target is not None:
            perceptual = whole.to_embedded(area_downscale(image, self.size), self.target)
            loss = loss + weight * perceptual

        # Style maps stay near vectors: λ_offset · Σ mean (o²), a map being a base vector plus o.
        if variables.offsets and s.offset_weight:
            loss = loss + s.offset_weight * variables.offset_penalty()

        # The parts keep the distributions of generated points ([S] eq. 7.2).
        if s.dist_weight:
            loss = loss + s.dist_weight * self.distribution_loss(latent)

        # The two terms that follow do not choose the best point: a lucky crop would win, and the
        # noise term weighs so much (4e5) that rounding errors would decide. All points are compared
        # at the last weights.
        fit = loss.detach()
        if s.perceptual_start < 1 and whole is not None:
            fit = fit + (s.perceptual_weight - weight) * perceptual.detach()

        # Perceptual distance of one crop: λ_crop · k / k_max · |φ'(x_crop) − φ'(y_crop)|².
        if self.networks.crop is not None and inputs.crop is not None:
            network, kept = self.networks.crop, self.crop_targets
            crop = crop_distance(network, image, target, s.crop_size, inputs.crop, kept)
            loss = loss + s.crop_weight * crop

        # Noise maps stay white ([K] appendix D).
        if variables.noise and s.noise_weight:
            loss = loss + s.noise_weight * noise_regularization(variables.noise)

        return Terms(loss, fit, perceptual.detach(), mse.detach(), image.detach())

    def pictures(self, latent: Latent, inputs: StepInputs) -> tuple[Tensor, Tensor]:
        """The pictures of points and their targets, whole or smaller.

        What a smaller picture lacks against the downscaled whole one changes little from step to
        step. It is added as it was when it was last measured, so that near that point both have the
        same optimum (an additive correction, in the words of multi-fidelity optimization).
        """
        generator, dtype = self.networks.generator, self.image.dtype
        if not inputs.preview:
            return generator.render(latent).to(dtype), self.image

        preview = generator.preview(latent, inputs.preview, one_pass=True).to(dtype)
        if not inputs.refresh:
            return preview + self.missing, self.small

        # Measure what it lacks. Where that is not finite, this step overflows, and the steps after
        # it, from another point, go on with what was known before.
        with torch.no_grad():
            whole = generator.render(latent).to(dtype)
            missing = area_downscale(whole, self.size) - preview
            finite = missing.flatten(1).isfinite().all(1)
            self.missing.copy_(torch.where(over(missing, finite), missing, self.missing))
        return preview + missing, self.small

    def distribution_loss(self, latent: Latent) -> Tensor:
        """[S] eq. 7.2, Σ MSE(sort(S), T) [N]: values S of styles, F and R, T of generated ones.

        The equation is `regularizers.distribution_regularization`, the pairs (S, T) are from
        `metrics.distribution_distance`, and T from `latents.distributions`.
        """
        total = torch.zeros(())
        for name, (values, ordered) in distribution_parts(self.generator, latent).items():
            # Values as many as those of the part are means of the sampled ones: once for all steps.
            key = name, values[0].numel()
            if key not in self.generated:
                self.generated[key] = group_means(ordered, key[1])
            total = total + distribution_regularization(values, self.generated[key])
        return total


def preview_size(generator: Generator, space: Space, scale: float) -> int:
    """The size of previews that are `scale` times as large as images; 0 where there are none."""
    size = round(scale * generator.resolution)
    return size if generator.network.preview_stops.get(size, 0) >= space.first else 0
