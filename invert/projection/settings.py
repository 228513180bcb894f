"""How a projection runs: every knob and its default, and the named sets of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch

from invert.arguments import check_integer, check_kinds, check_number
from invert.errors import UsageError, did_you_mean
from invert.hardware.processor import is_faster_in_bfloat16
from invert.latents.spaces import Space


@dataclass(frozen=True)
class ProjectionSettings:
    """Steps, rates and weights of one projection.

    Defaults are those of [S] chapter 6 for spaces with features. Raises :class:`UsageError`, which
    names the range, for a value outside of it.
    """

    # Steps and Adam.
    steps: int = 250
    init_steps: int = 150  # of the first of two stages, in (N)W+; see `for_init`
    init_lr: float = 0.1  # of that stage, which begins at the mean and far from the image
    lr: float = 0.1  # of styles and noise maps
    beta1: float = 0.9  # Adam's β: decay per step of the mean gradient
    beta2: float = 0.999  # and of the mean squared gradient
    warmup: int = 50  # steps of linear rise
    cooldown: float = 0.0  # last fraction of the steps, over which the rate falls as a cosine

    # Weights of the terms. `perceptual` is any of invert.metrics.perceptual.PERCEPTUAL, or "none"
    # for pixels alone, which needs no weights of a network.
    perceptual: str = "st-lpips-alex"
    perceptual_weight: float = 1.0
    perceptual_start: float = 1.0  # fraction of that weight at first, see `schedules.late_rise`
    mse_weight: float = 0.25
    noise_weight: float = 4e5  # noise maps stay white, [K] appendix D
    dist_weight: float = 0.0  # λ_dist of [S] 7.2, on styles, F and R
    w_noise: float = 0.0  # w gets noise of w_noise · σ_w · t², where t falls to 0; [K] has 0.05

    # F and R move in units of their own standard deviation, so that the rate fits any generator.
    feature_lr: float = 0.1

    # Offset maps of styles. At a rate of 0.01 they are faster far from the image and worse near it,
    # at 0.1 they diverge.
    offset_lr: float = 0.003
    offset_size: int = 8  # cells per training-size side, where an init has not more
    offset_weight: float = 1e-2  # of their mean square

    # The first fraction of the steps renders smaller pictures, of the size of the perceptual
    # distance of the whole image. What they lack is measured every `refresh` steps, and added.
    preview: float = 0.0
    refresh: int = 5

    # Perceptual distance of one crop per step, at full, half or quarter size. Its network is
    # another than `perceptual`: it sees errors that the first one does not.
    crop_weight: float = 0.0
    crop_size: int = 128  # pixels, after downscaling
    crop_perceptual: str = "st-lpips-vgg"
    crop_every: int = 1  # steps from one with a crop to the next; a crop counts as many times

    # The companion: it is fitted to the best point of the first `early_steps`, since F_i of a
    # longer run is farther from what styles can make
    early_steps: int = 200
    companion_steps: int = 300

    # An image stops when its fit has not improved for so many steps; 0: never.
    patience: int = 0

    # Steps that a device other than the CPU makes before anyone looks at them.
    report_every: int = 10

    # Steps are recorded as CUDA graphs, on devices that have them.
    graphs: bool = True

    # Images and distances of the steps in bfloat16; the result is rendered in full precision. None:
    # where that is known to be faster, see `for_device`.
    half: bool | None = False

    def __post_init__(self) -> None:
        # Types and ranges.
        for name, low, high in (
            ("steps", 0, 1_000_000),
            ("init_steps", 0, 1_000_000),
            ("warmup", 0, 1_000_000),
            ("early_steps", 0, 1_000_000),
            ("companion_steps", 1, 1_000_000),
            ("patience", 0, 1_000_000),
            ("refresh", 1, 1_000_000),
            ("crop_every", 1, 1_000_000),
            ("report_every", 1, 1_000_000),
            ("offset_size", 1, 1024),
            ("crop_size", 32, 1024),
        ):
            check_integer(name, getattr(self, name), low, high)
        for field in dataclasses.fields(self):
            if field.type == "float":
                check_number(field.name, getattr(self, field.name), 0, 1e9)
        check_kinds(self)

        # Narrower ranges.
        for name in ("cooldown", "preview", "perceptual_start"):
            if getattr(self, name) > 1:
                raise UsageError(f"{name} is a fraction in [0, 1], got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if getattr(self, name) >= 1:
                raise UsageError(f"{name} is a decay in [0, 1), got {getattr(self, name)}")
        for name in ("lr", "init_lr"):
            if getattr(self, name) == 0:
                raise UsageError(f"{name} must be above 0")

    def replace(self, **changes: Any) -> ProjectionSettings:
        """A copy with some knobs changed, checked again."""
        return dataclasses.replace(self, **changes)

    def for_device(self, device: torch.device) -> ProjectionSettings:
        """The settings with a decision about `half`: where there is none, it is for a CPU that is
        faster in bfloat16.
        """
        if self.half is not None:
            return self
        return self.replace(half=device.type == "cpu" and is_faster_in_bfloat16())

    def for_init(self) -> ProjectionSettings:
        """The settings of the first of two stages, in (N)W+.

        Adam has its usual β there, the perceptual distance all its weight, and there is no
        distribution term: the stage begins far from the image. All its steps render whole images.
        """
        usual = ProjectionSettings()
        return self.replace(
            steps=self.init_steps,
            lr=self.init_lr,
            beta1=usual.beta1,
            beta2=usual.beta2,
            dist_weight=usual.dist_weight,
            perceptual_start=usual.perceptual_start,
            preview=usual.preview,
        )


PRESETS = ("fast", "draft", "thesis", "stylegan2")


def preset(name: str, space: str | Space) -> ProjectionSettings:
    """The named settings for a space.

    fast       what we found best for minutes on a CPU (docs/projection.md); the default everywhere
    draft      few steps: a first look
    thesis     [S]: 250 steps where the space has features, 1000 where it has not
    stylegan2  [K]'s own projector, meant for W and NW: noisy w, perceptual distance only, 1000
               steps
    """
    parsed = Space.parse(space)
    features = parsed.layer is not None
    vectors = features and not parsed.spatial
    if name in ("fast", "draft"):
        fast = ProjectionSettings(
            steps=200 if features else 300,
            init_steps=100,
            warmup=20,
            cooldown=0.5,
            mse_weight=1.0,
            crop_weight=0.1,
            half=None,
        )

        # Shorter averages in Adam and the distribution term, and so lower rates and fewer steps;
        # measured for style vectors only: style maps diverge sooner, W+ gains from neither. A crop
        # in every second step costs half as much. Squared errors lead near the image, so they weigh
        # more where there are few steps, and the perceptual distance less until half of them are
        # made.
        if vectors:
            fast = fast.replace(
                steps=128,
                warmup=10,
                lr=0.035,
                feature_lr=0.07,
                beta1=0.8,
                beta2=0.9,
                mse_weight=1.8,
                perceptual_weight=1.6,
                perceptual_start=0.3,
                dist_weight=0.1,
                crop_weight=0.06,
                crop_every=2,
                companion_steps=200,
            )

        if name == "fast":
            return fast

        # A rate that falls nearly from the beginning: at the full rate the distances stop falling
        # after 20 steps or so. The full weight of crops: there are few.
        draft = fast.replace(
            steps=70,
            init_steps=40,
            warmup=10,
            cooldown=0.9,
            crop_weight=0.1,
            crop_every=2,
            companion_steps=100,
        )

        # Smaller pictures for more than half of the steps, and lower rates, as far as measured.
        if vectors:
            draft = draft.replace(
                steps=52,
                warmup=5,
                lr=0.022,
                feature_lr=0.055,
                preview=0.6,
                crop_weight=fast.crop_weight,
            )
        return draft

    if name == "thesis":
        return ProjectionSettings(steps=250 if features else 1000)
    if name == "stylegan2":
        return ProjectionSettings(
            steps=1000, cooldown=0.25, mse_weight=0.0, noise_weight=1e5, w_noise=0.05
        )

    near = did_you_mean(name, PRESETS, {"default": "fast", "quick": "fast", "ada": "stylegan2"})
    raise UsageError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}{near}")
