"""What a step of an optimization gets from outside: its number, its rate, its random numbers.

They depend on the seed and the step alone. All images of a batch get the same, so that neither the
batch nor the order of its images matters; and a device gets those of a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from invert.hardware.precision import numbers
from invert.projection.crop import Crop, CropSequence
from invert.projection.schedules import late_rise, warmup_cooldown
from invert.projection.settings import ProjectionSettings

W_NOISE_END = 0.75  # fraction of the steps after which w gets no noise any more, [K] appendix D


@dataclass(frozen=True)
class StepInputs:
    """The inputs of one step; tensors lie on the device.

    step        [] of int64: updates made so far
    rate        [], the factor of the schedule
    perceptual  [], the factor of the weight of the perceptual distance of the whole image
    preview     the size of the smaller picture that is rendered; 0 for the whole one
    refresh     whether what the smaller picture lacks is measured
    crop        the crop, if the objective has one
    w_noise     [1, …], standard normal, of the size of one image's style vectors, times its
                deviation; None where w gets no noise
    """

    step: Tensor
    rate: Tensor
    perceptual: Tensor
    preview: int = 0
    refresh: bool = False
    crop: Crop | None = None
    w_noise: Tensor | None = None


@dataclass
class InputSequence:
    """The inputs of all steps of a stage, drawn in blocks.

    image_size  (height, width) of the images
    preview     the size of the smaller pictures of the first steps (`Generator.preview`); 0 where
                there are none
    small       their (height, width)
    styles      shape [1, …] of one image's style vectors
    w_std       deviation of w; 0 where w gets no noise
    """

    settings: ProjectionSettings
    device: torch.device
    dtype: torch.dtype
    image_size: tuple[int, int]
    preview: int
    small: tuple[int, int]
    styles: torch.Size
    w_std: float
    with_crops: bool
    random: torch.Generator  # on the CPU

    def blocks(self, length: int) -> Iterator[list[StepInputs]]:
        """The inputs of steps 0 … `steps` in order, `length` in a block but for the last one.

        A block goes to the device at once, and the CPU does not wait until it is there.
        """
        total = self.settings.steps + 1
        for first in range(0, total, length):
            yield self.block(range(first, min(total, first + length)))

    def block(self, steps: range) -> list[StepInputs]:
        """The inputs of some steps, which follow those of the last call."""
        s = self.settings

        # Draw step by step: w noise, then the crop.
        crops, noises = [], []
        for step in steps:
            noises.append(self.w_noise(step))
            crops.append(self.crop(step))

        # Two small tables for the device, integers and numbers; noise only where there is some.
        corners = [(c.top, c.left) if c else (0, 0) for c in crops]
        table = torch.tensor([(n, *corner) for n, corner in zip(steps, corners, strict=True)])
        numbered, tops, lefts = self.there(table).unbind(1)
        schedule = [warmup_cooldown(step, s.steps, s.warmup, s.cooldown) for step in steps]
        rates = numbers(schedule, self.device)
        shares = [late_rise(step, s.steps, s.perceptual_start) for step in steps]
        perceptual = numbers(shares, self.device)

        # On a CPU corners stay numbers: slices are faster than indices.
        on_cpu = self.device.type == "cpu"
        inputs = []
        for k, (crop, noise) in enumerate(zip(crops, noises, strict=True)):
            if crop is not None and not on_cpu:
                crop = replace(crop, top=tops[k], left=lefts[k])
            moved = None if noise is None else self.there(noise)
            preview = self.preview if steps[k] < self.previews else 0
            refresh = preview > 0 and steps[k] % s.refresh == 0
            given = (numbered[k], rates[k], perceptual[k])
            inputs.append(StepInputs(*given, preview, refresh, crop, moved))
        return inputs

    def there(self, t: Tensor) -> Tensor:
        """A tensor of the CPU on the device, which is not waited for."""
        return t.to(self.device, non_blocking=True)

    @property
    def previews(self) -> int:
        """The number of steps with a smaller picture, which are the first ones."""
        return round(self.settings.preview * self.settings.steps) if self.preview else 0

    def crop(self, step: int) -> Crop | None:
        """The next crop, in every `crop_every`-th step; it counts for those without.

        Smaller pictures have crops at their own scale, the largest one.
        """
        s = self.settings
        if not self.with_crops or step % s.crop_every:
            return None
        crop = (self.small_crops if step < self.previews else self.crops).draw()
        return replace(crop, fraction=crop.fraction * s.crop_every)

    @cached_property
    def crops(self) -> CropSequence:
        """The crops of whole pictures."""
        return CropSequence(self.image_size, self.settings.crop_size, self.random)

    @cached_property
    def small_crops(self) -> CropSequence:
        """Those of smaller pictures."""
        return CropSequence(self.small, self.settings.crop_size, self.random, (1,))

    def w_noise(self, step: int) -> Tensor | None:
        """Normal noise for w of deviation w_noise · σ_w · t² ([K] appendix D), or none.

        t falls linearly from 1 to 0 at 75 % of the steps.
        """
        s = self.settings
        t = 1 - step / max(s.steps, 1) / W_NOISE_END
        if not s.w_noise or t <= 0:
            return None
        noise = torch.randn(self.styles, generator=self.random, dtype=torch.float32)
        noise = noise.to(self.dtype)
        return noise * (s.w_noise * self.w_std * t**2)
