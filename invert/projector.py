"""A latent whose image is close to a given one, by optimization, in any space ([S] algorithm 4, [K] appendix D)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.errors import LatentError, UsageError
from invert.generator import Generator
from invert.images import area_downscale
from invert.latents import Latent
from invert.perceptual import PerceptualDistance, load_perceptual
from invert.regularizers import noise_regularization
from invert.schedules import warmup_cooldown
from invert.settings import ProjectionSettings, preset
from invert.spaces import Space
from invert.variables import Variables, distribution_loss

PERCEPTUAL_SIDE = 256  # pixels; the perceptual distance sees a 1024 px image at ¼, no image below this
MAX_RECOVERIES = 3


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
    """

    latent: Latent
    image: Tensor
    best_step: int
    history: tuple[Step, ...]
    stop_reason: str


Callback = Callable[[Step], object]


def project(
    generator: Generator,
    image: Tensor,
    space: str | Space = "FNW5",
    *,
    settings: ProjectionSettings | None = None,
    init: Latent | None = None,
    perceptual: PerceptualDistance | None = None,
    seed: int = 0,
    callback: Callback | None = None,
) -> Projection:
    """The point of `space` whose image is closest to `image` [1, 3, H, W] in [−1, 1].

    H × W is the generator's size or, in spaces with features, any multiple of a feature cell. Starts from `init` where
    one is given; else in F… spaces from a short projection into W+ ("two-stage"), elsewhere from the mean w. The same
    seed gives the same result whatever else runs. Raises :class:`UsageError` for images or spaces that do not fit.
    """
    target_space = Space.parse(space)
    settings = settings or preset("fast", target_space)
    image = check_image(generator, image, target_space)
    if perceptual is None and settings.perceptual != "none":
        perceptual = load_perceptual(settings.perceptual, device=generator.device, dtype=generator.dtype)
    if init is not None:
        start = generator.convert(init, target_space)
    else:
        start = first_point(generator, image, target_space, settings, perceptual, seed, callback)
    if generator.check(start).image != tuple(image.shape[2:]):
        raise LatentError(f"the start renders {generator.check(start).image}, the image is {tuple(image.shape[2:])}")
    return optimize(generator, image, start, settings, perceptual, seed, callback, "project")


def check_image(generator: Generator, image: Tensor, space: Space) -> Tensor:
    """The image on the generator's device; raises :class:`UsageError` unless the space can hold it."""
    if space.base == "Z":
        raise UsageError(f"cannot project into {space}: z is not optimized; use W or an N/F/S space of W+")
    if image.ndim == 3:
        image = image[None]
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise UsageError(f"expected one image [1, 3, H, W], got {list(image.shape)}; project images one by one")
    if not bool(image.isfinite().all()):
        raise UsageError("the image has values that are not finite")
    cell = generator.resolution // generator.layer(space.first).size
    rgb_half = generator.layer(space.first).rgb_size not in (None, generator.layer(space.first).size)
    multiple = cell * (2 if rgb_half else 1)
    h, w = image.shape[2:]
    if space.layer is None and (h, w) != (generator.resolution, generator.resolution):
        raise UsageError(f"{space} holds {generator.resolution} px squares, got {w}×{h}; F… spaces hold other sizes")
    if h % multiple or w % multiple:
        raise UsageError(f"{space} holds images of multiples of {multiple} px here, got {w}×{h}")
    return image.detach().to(generator.device, generator.dtype)


def first_point(
    generator: Generator,
    image: Tensor,
    space: Space,
    settings: ProjectionSettings,
    perceptual: PerceptualDistance | None,
    seed: int,
    callback: Callback | None,
) -> Latent:
    """Where the optimization starts: the mean w, or in F… spaces a short projection into W+ that is then opened."""
    flat = Space("W" if space.base == "W" else "W+", noise=space.noise)
    mean = generator.latent(generator.w_avg[None])
    start = generator.convert(mean, flat)
    if space.layer is None or settings.init_steps == 0:
        return canvas(generator, generator.convert(start, space), image)
    if tuple(image.shape[2:]) != (generator.resolution,) * 2:
        return canvas(generator, generator.convert(start, space), image)
    short = settings.replace(steps=settings.init_steps)
    result = optimize(generator, image, start, short, perceptual, seed, callback, "start")
    return generator.convert(result.latent, space)


def canvas(generator: Generator, latent: Latent, image: Tensor) -> Latent:
    """The latent with its maps repeated to the image's size; unchanged at the training size."""
    space = latent.space
    if space.layer is None:
        return latent
    cell = generator.resolution // generator.layer(space.first).size
    sizes = generator.shapes(space, (image.shape[2] // cell, image.shape[3] // cell))
    if latent.features is None or tuple(latent.features.shape[2:]) == sizes.features:
        return latent

    def tile(t: Tensor, size: tuple[int, int]) -> Tensor:
        return t.repeat(1, 1, -(-size[0] // t.shape[2]), -(-size[1] // t.shape[3]))[:, :, : size[0], : size[1]]

    noise = None
    if latent.noise is not None:
        noise = tuple(tile(n, size) for n, size in zip(latent.noise, sizes.noise, strict=True))
    rgb = None if latent.rgb is None or sizes.rgb is None else tile(latent.rgb, sizes.rgb)
    return latent.replace(features=tile(latent.features, sizes.features), rgb=rgb, noise=noise)


def optimize(
    generator: Generator,
    image: Tensor,
    start: Latent,
    settings: ProjectionSettings,
    perceptual: PerceptualDistance | None,
    seed: int,
    callback: Callback | None,
    stage: str,
) -> Projection:
    """Adam from `start`; the best point met is the result, never a later or an earlier one.

    Best is the lowest loss without the noise term, whose weight of 4e5 turns rounding into ranks, and without the term
    of random crops, where the luckiest crop would win.
    """
    variables = Variables(generator, start.detach(), settings)
    loss_of = Loss(generator, image, settings, perceptual, seed)
    optimizer = new_adam(variables)
    best, best_step, kept = math.inf, 0, variables.snapshot()
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
    variables.restore(kept)
    latent = variables.latent().detach().map(Tensor.clone)
    facts = {
        "stage": stage,
        "settings": asdict(settings),
        "seed": seed,
        "best_step": best_step,
        "best_fit": best if math.isfinite(best) else None,
        "stop_reason": stop_reason,
    }
    latent = latent.replace(metadata={**latent.metadata, "projection": facts})
    return Projection(latent, generator.render(latent), best_step, tuple(history), stop_reason)


def new_adam(variables: Variables) -> torch.optim.Adam:
    return torch.optim.Adam(variables.groups(), lr=variables.settings.lr)


def with_image(step: Step, image: Tensor) -> Step:
    return replace(step, image=image)


class Loss:
    """The objective of a projection at one step: perceptual + mse + the regularizers the settings ask for."""

    def __init__(
        self,
        generator: Generator,
        image: Tensor,
        settings: ProjectionSettings,
        perceptual: PerceptualDistance | None,
        seed: int,
    ) -> None:
        self.generator, self.image, self.settings, self.perceptual = generator, image, settings, perceptual
        self.random = torch.Generator().manual_seed(seed)  # on the CPU, so devices agree
        self.size = perceptual_size(generator.resolution, image)
        self.target = None
        if perceptual is not None:
            with torch.no_grad():
                self.target = perceptual.embed(area_downscale(image, self.size))

    def __call__(self, variables: Variables, step: int) -> tuple[Tensor, float, float, float, Tensor]:
        """(loss, its value without the terms of noise and crops, perceptual distance, mse, image)."""
        s = self.settings
        latent = variables.latent(self.w_noise(variables, step))
        rendered = self.generator.render(latent)
        mse = F.mse_loss(rendered, self.image)
        loss = s.mse_weight * mse
        perceptual_value = math.nan
        if self.perceptual is not None and self.target is not None:
            distance = self.perceptual.between(
                self.perceptual.embed(area_downscale(rendered, self.size)), self.target
            ).sum()
            perceptual_value = distance.item()
            loss = loss + s.perceptual_weight * distance
        if variables.offsets and s.offset_weight:
            loss = loss + s.offset_weight * variables.offset_penalty()
        if s.dist_weight:
            loss = loss + s.dist_weight * distribution_loss(self.generator, latent)
        fit = loss.item()
        if self.perceptual is not None and s.crop_weight:
            loss = loss + s.crop_weight * self.crop_distance(rendered)
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

    def crop_distance(self, rendered: Tensor) -> Tensor:
        """Perceptual distance of one random crop at full resolution, where the downscaled image is blind."""
        assert self.perceptual is not None
        size = min(self.settings.crop_size, *rendered.shape[2:])
        y, x = (int(torch.randint(side - size + 1, (), generator=self.random)) for side in rendered.shape[2:])
        window = (..., slice(y, y + size), slice(x, x + size))
        return self.perceptual(rendered[window], self.image[window]).sum()


def perceptual_size(resolution: int, image: Tensor) -> tuple[int, int]:
    """(H, W) at which the perceptual distance sees an image: ¼ of a 1024 px generator's, never below 256 px per side of
    a training image."""
    scale = min(1.0, max(0.25, PERCEPTUAL_SIDE / resolution))
    return round(image.shape[2] * scale), round(image.shape[3] * scale)
