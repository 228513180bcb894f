"""Adam from a point to the best one near it, in any space ([S] algorithm 4, [K] appendix D)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.generator import Generator
from invert.images import area_downscale
from invert.latents import Latent
from invert.perceptual import PerceptualDistance
from invert.regularizers import noise_regularization
from invert.schedules import warmup_cooldown
from invert.settings import ProjectionSettings
from invert.variables import Variables, distribution_loss

PERCEPTUAL_SIDE = 256  # pixels; the perceptual distance sees a 1024 px image at ¼, no image below this
CROP_SCALES = (1, 2, 4)  # a crop covers so many times its size in pixels, and is downscaled to it
MAX_RECOVERIES = 3
EARLY = 200  # steps whose best point is kept beside the best of all: longer runs leave what the generator would make


@dataclass(frozen=True)
class Step:
    """What a step found, before its update. `stage` is "start" for the two-stage start, else "project"."""

    stage: str
    step: int  # updates made so far
    steps: int
    loss: float  # with every regularizer
    perceptual: float
    mse: float
    lr: float
    seconds: float  # since the stage began
    image: Tensor | None = field(default=None, repr=False, compare=False)  # [1, 3, H, W]; not kept in histories


@dataclass(frozen=True)
class Projection:
    """The best point found, its image rendered from it, and how it went.

    stop_reason  "steps": all were made; "interrupted": by Ctrl-C; "diverged": losses were not finite and lower
                 rates did not help. In every case `latent` is that of `best_step` and `image` is its render.
    early        the best point of the first `EARLY` steps; None where that is `latent`.
    """

    latent: Latent
    early: Latent | None
    image: Tensor
    best_step: int
    history: tuple[Step, ...]
    stop_reason: str


Callback = Callable[[Step], object]


@dataclass(frozen=True)
class Networks:
    """What a step renders and compares with: the generator, or its copy in half precision, and the perceptual distances
    of the whole image, downscaled, and of random crops. None: no such term."""

    generator: Generator
    whole: PerceptualDistance | None = None
    crop: PerceptualDistance | None = None


def optimize(
    generator: Generator,
    image: Tensor,
    start: Latent,
    settings: ProjectionSettings,
    networks: Networks,
    seed: int,
    callback: Callback | None,
    stage: str,
) -> Projection:
    """Adam from `start`; the best point met is the result, never a later or an earlier one.

    Best is the lowest loss without the noise term, whose weight of 4e5 turns rounding into ranks, and without the term
    of random crops, where the luckiest crop would win. With 0 steps the start is returned as it is, unmeasured.
    """
    if settings.steps == 0:
        return outcome(generator, start.detach(), None, settings, seed, stage, [], 0, math.inf, "steps")
    variables = Variables(generator, start.detach(), settings)
    loss_of = Loss(generator, image, settings, networks, seed)
    optimizer = new_adam(variables)
    best, best_step, kept = math.inf, 0, variables.snapshot()
    early = kept
    history: list[Step] = []
    rate, recoveries, stop_reason = 1.0, 0, "steps"
    began = time.perf_counter()
    try:
        for step in range(settings.steps + 1):
            loss, fit, perceptual_value, mse, rendered = loss_of(variables, step)
            value = loss.item()
            if not math.isfinite(value):
                recoveries += 1
                if recoveries > MAX_RECOVERIES:
                    stop_reason = "diverged"
                    break
                variables.restore(kept)  # a fresh Adam too: its moments are poisoned
                rate, optimizer = rate / 2, new_adam(variables)
                continue
            if fit < best:
                best, best_step, kept = fit, step, variables.snapshot()
                if step <= EARLY:
                    early = kept
            factor = rate * warmup_cooldown(step, settings.steps, settings.warmup, settings.cooldown)
            entry = Step(
                stage, step, settings.steps, value, perceptual_value, mse, settings.lr * factor,
                time.perf_counter() - began,
            )  # fmt: skip
            history.append(entry)
            if callback is not None:
                callback(with_image(entry, rendered))
            if step < settings.steps:
                for group in optimizer.param_groups:
                    group["lr"] = group["rate"] * factor
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                variables.standardize_noise()
    except KeyboardInterrupt:
        stop_reason = "interrupted"
    before = None if early is kept else variables.latent_of(early)
    return outcome(
        generator, variables.latent_of(kept), before, settings, seed, stage, history, best_step, best, stop_reason
    )


def outcome(
    generator: Generator,
    latent: Latent,
    early: Latent | None,
    settings: ProjectionSettings,
    seed: int,
    stage: str,
    history: list[Step],
    best_step: int,
    best: float,
    stop_reason: str,
) -> Projection:
    """The point with the facts of its projection, and its picture rendered from it."""
    facts = {
        "stage": stage,
        "settings": asdict(settings),
        "seed": seed,
        "best_step": best_step,
        "best_fit": best if math.isfinite(best) else None,
        "stop_reason": stop_reason,
    }
    latent = latent.replace(metadata={**latent.metadata, "projection": facts})
    return Projection(latent, early, generator.render(latent), best_step, tuple(history), stop_reason)


def new_adam(variables: Variables) -> torch.optim.Adam:
    s = variables.settings
    return torch.optim.Adam(variables.groups(), lr=s.lr, betas=(s.beta1, s.beta2))


def with_image(step: Step, image: Tensor) -> Step:
    return replace(step, image=image)


class Loss:
    """The objective of a projection at one step: perceptual + mse + the regularizers the settings ask for."""

    def __init__(
        self,
        generator: Generator,
        image: Tensor,
        settings: ProjectionSettings,
        networks: Networks,
        seed: int,
    ) -> None:
        self.generator, self.image, self.settings, self.networks = generator, image, settings, networks
        self.random = torch.Generator().manual_seed(seed)  # on the CPU, so devices agree
        self.size = perceptual_size(generator.resolution, image)
        self.target = None
        if networks.whole is not None:
            with torch.no_grad():
                self.target = networks.whole.embed(area_downscale(image, self.size))

    def __call__(self, variables: Variables, step: int) -> tuple[Tensor, float, float, float, Tensor]:
        """(loss, its value without the terms of noise and crops, perceptual distance, mse, image)."""
        s = self.settings
        latent = variables.latent(self.w_noise(variables, step))
        rendered = self.networks.generator.render(latent).to(self.image.dtype)
        mse = F.mse_loss(rendered, self.image)
        loss = s.mse_weight * mse
        perceptual_value = math.nan
        whole = self.networks.whole
        if whole is not None and self.target is not None:
            distance = whole.between(whole.embed(area_downscale(rendered, self.size)), self.target).sum()
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
        return loss, fit, perceptual_value, mse.item(), rendered.detach()

    def w_noise(self, variables: Variables, step: int) -> Tensor | None:
        """Normal noise for w, falling as t² until 75 % of the steps ([K] appendix D)."""
        t = 1 - step / max(self.settings.steps, 1) / 0.75
        if not self.settings.w_noise or t <= 0:
            return None
        scale = self.settings.w_noise * self.generator.statistics().w_std * t**2
        noise = torch.randn(variables.styles.shape, generator=self.random)
        return noise.to(variables.styles) * scale

    def crop_distance(self, distance: PerceptualDistance, rendered: Tensor) -> Tensor:
        """Distance of one random crop at a random scale, times that scale over the largest possible.

        The downscaled image is blind at full size. But distances grow towards it: unweighted, texture would win over
        the shapes of eyes.
        """
        sides = rendered.shape[2:]
        size = min(self.settings.crop_size, *sides)
        scales = [k for k in CROP_SCALES if k * size <= min(sides)]
        k = scales[int(torch.randint(len(scales), (), generator=self.random))]
        # whole cells of the downscaled image, so that no crop sees other pixels than the image as a whole
        y, x = (k * int(torch.randint(side // k - size + 1, (), generator=self.random)) for side in sides)
        window = (..., slice(y, y + k * size), slice(x, x + k * size))
        seen, target = (area_downscale(t[window], (size, size)) for t in (rendered, self.image))
        return distance(seen, target).sum() * (k / scales[-1])


def perceptual_size(resolution: int, image: Tensor) -> tuple[int, int]:
    """(H, W) at which the perceptual distance sees an image: ¼ of a 1024 px generator's, never below 256 px per side of
    a training image."""
    scale = min(1.0, max(0.25, PERCEPTUAL_SIDE / resolution))
    return round(image.shape[2] * scale), round(image.shape[3] * scale)
