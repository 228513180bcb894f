"""Blurred white noise: near places have more in common than distant ones.

[S] algorithm 5 convolves channel c of C with a Gaussian of σ_c = c / (C − 1) · σ_max: the first
channel stays white and the last is the smoothest. The sum is then divided by √(ΣK²), which brings
the variance back to 1 (A.3; the algorithm's text prints a multiplication). [S] 9.1.2 proposes other
blurs: here every kernel is given by σ, its standard deviation along an axis in cells, so that they
can be compared at equal reach.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.arguments import check_number
from invert.errors import UsageError
from invert.latent_maps.filtered_noise import LatentMap

REACH = 3.0  # margin of a Gaussian, in σ_max; [S] does not say its k
MAX_SIGMA = 64.0  # cells
LEAST_SIGMA = 1e-3  # below which no neighbour has any weight
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))  # turned by it, directions stay evenly spread


@dataclass(frozen=True)
class BlurredMap(LatentMap):
    """White noise convolved with a kernel per channel, then scaled to variance 1."""

    sigma_max: float  # of the last channel, in cells

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("sigma_max", self.sigma_max, 0, MAX_SIGMA)

    def sigmas(self) -> Tensor:
        """σ of every channel [C], rising linearly from 0."""
        return self.rising(0, self.sigma_max)

    def offsets(self) -> tuple[Tensor, Tensor]:
        """(y, x) of the kernel's cells from its centre, [side, 1] and [1, side]."""
        line = torch.arange(-self.margin, self.margin + 1.0, dtype=torch.float32)
        return line[:, None], line[None, :]

    @abstractmethod
    def kernels(self) -> Tensor:
        """A kernel per channel, [C, 2 · margin + 1, 2 · margin + 1], of any scale."""

    def filter(self, noise: Tensor) -> Tensor:
        """The blurred noise."""
        return convolve(noise, self.kernels().to(noise))


def convolve(noise: Tensor, kernels: Tensor) -> Tensor:
    """Each channel of the noise convolved with its kernel, at variance 1 ([S] theorem 2)."""
    kernels = kernels / kernels.square().sum((1, 2), keepdim=True).sqrt()
    # conv2d correlates, hence the flip.
    return F.conv2d(noise, kernels.flip(1, 2)[:, None], groups=len(kernels))


def gaussian_kernels(sigmas: Tensor, margin: int) -> Tensor:
    """Gaussians [C, 2 · margin + 1, 2 · margin + 1] of standard deviations [C]; differentiable."""
    line = torch.arange(-margin, margin + 1.0, device=sigmas.device, dtype=sigmas.dtype)
    rows = torch.exp(-0.5 * (line / sigmas.clamp(min=LEAST_SIGMA)[:, None]).square())
    return rows[:, :, None] * rows[:, None, :]


@dataclass(frozen=True)
class GaussianMap(BlurredMap):
    """Blurred normal noise of [S] algorithm 5."""

    kind = "blurred"

    @property
    def margin(self) -> int:
        """k of the algorithm."""
        return math.ceil(REACH * self.sigma_max)

    def kernels(self) -> Tensor:
        """Gaussians; that of σ = 0 is the identity."""
        return gaussian_kernels(self.sigmas(), self.margin)


@dataclass(frozen=True)
class BoxMap(BlurredMap):
    """The mean over a square; cells that it covers in part have their share of weight."""

    kind = "box"

    @property
    def margin(self) -> int:
        """Half of the widest square's side."""
        return math.ceil(math.sqrt(3) * self.sigma_max)

    def kernels(self) -> Tensor:
        """Squares: a box of half-width √3 · σ has the standard deviation σ."""
        half = 0.5 + math.sqrt(3) * self.sigmas()[:, None, None]
        y, x = self.offsets()
        return (half + 0.5 - y.abs()).clamp(0, 1) * (half + 0.5 - x.abs()).clamp(0, 1)


@dataclass(frozen=True)
class RadialMap(BlurredMap):
    """The mean over a disc, as a lens out of focus makes it.

    A radial blur about one centre would make that place unlike all others; this one has the same
    law everywhere.
    """

    kind = "radial"

    @property
    def margin(self) -> int:
        """Radius of the largest disc."""
        return math.ceil(2 * self.sigma_max)

    def kernels(self) -> Tensor:
        """Discs: one of radius 2σ has the standard deviation σ along each axis."""
        radius = 0.5 + 2 * self.sigmas()[:, None, None]
        y, x = self.offsets()
        return (radius + 0.5 - (y.square() + x.square()).sqrt()).clamp(0, 1)


@dataclass(frozen=True)
class MotionMap(BlurredMap):
    """The mean along a line; every channel has its own direction."""

    kind = "motion"

    @property
    def margin(self) -> int:
        """Half of the longest line."""
        return math.ceil(math.sqrt(3) * self.sigma_max)

    def kernels(self) -> Tensor:
        """Lines of half-length √3 · σ, at angles that spread evenly over any range of channels."""
        half = math.sqrt(3) * self.sigmas()[:, None, None]
        channel = torch.arange(self.channels, dtype=torch.float32)
        angle = GOLDEN_ANGLE * channel[:, None, None]
        y, x = self.offsets()

        # Distance from each cell to the nearest point of the line.
        along = x * angle.cos() + y * angle.sin()
        across = y * angle.cos() - x * angle.sin()
        beyond = (along.abs() - half).clamp(min=0)
        return (1 - (beyond.square() + across.square()).sqrt()).clamp(0, 1)


@dataclass(frozen=True)
class LearnedMap(BlurredMap):
    """Blurred normal noise whose σ were learned with the generator ([S] 9.1.2).

    Training moves log σ; a checkpoint holds what it came to.
    """

    learned_sigmas: tuple[float, ...] = ()

    kind = "learned"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.learned_sigmas) != self.channels:
            raise UsageError(
                f"learned σ are one per channel ({self.channels}), got {len(self.learned_sigmas)}"
            )
        for sigma in self.learned_sigmas:
            check_number("learned σ", sigma, 0, MAX_SIGMA)

    @property
    def margin(self) -> int:
        """k of the algorithm, at the largest σ that training allows: `sigma_max`."""
        return math.ceil(REACH * self.sigma_max)

    def sigmas(self) -> Tensor:
        """σ of every channel [C]."""
        return torch.tensor(self.learned_sigmas, dtype=torch.float32)

    def kernels(self) -> Tensor:
        """Gaussians."""
        return gaussian_kernels(self.sigmas(), self.margin)
