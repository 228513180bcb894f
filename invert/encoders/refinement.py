"""Learned gradient descent: it brings an encoding nearer to its image.

The encoding is rendered, and the gradient of the distance to the image says in the cells of F_i
what is missing. Feeding the rendering back is ReStyle's idea (Alaluf et al., arXiv:2104.02699),
which infers from pixels what the gradient says; learning the steps that are made from a gradient is
that of learned optimizers (Andrychowicz et al., arXiv:1606.04474), whose networks see a coordinate
at a time. Here only rates and a blur are learned; the direction is that of Muon (Liu et al.,
arXiv:2502.16982): all singular values of the gradient are made equal.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invert.encoders.encoding import Encoding
from invert.encoders.slope import Slope

# Where training begins; what is learned changes these by factors.
GAIN, STYLE_GAIN = 0.05, 0.022  # step sizes, in σ of F_i's channels and in w
MOMENTUM = 0.5
SOFTNESS = 0.3  # a gradient of this many root mean squares moves a value half as far as a large one
POWER = 0.7  # of the distance
USUAL_DISTANCE = 0.25  # of an encoding to a photograph: gains are for it
BLUR = (0.3, 1.0, 0.3)  # of the gradient, along rows and columns

# Muon's iteration: x → a x + b x xᵀx + c x (xᵀx)² brings singular values in (0, 1] near 1.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Refinement(nn.Module):
    """Steps ΔF, ΔR and Δw from the slope at an encoding.

        Δ = −d^p · g m,    m = v + μ m₋₁

    d is the distance, v the direction of the gradient, m the velocity and m₋₁ that of the pass
    before. Each of the `passes` has its own gains g, per channel of F_i and per layer of the
    styles, momentum μ and power p.

    F_i is moved in units of its σ. The gradient is blurred first, as its single cells say little;
    then v is the nearest matrix [channels, cells] whose singular values are equal, with root mean
    square 1, so that what many channels and cells share does not hide the rest. For R_i and styles
    v is the soft sign u / (|u| + s) of the gradient in units of its root mean square, which is near
    Adam's first step. Nothing depends on the size of the map.

    What is learned are factors of the constants above: an untrained refinement descends.
    """

    def __init__(self, passes: int, channels: int, num_ws: int, w_dim: int, *, rgb: bool) -> None:
        super().__init__()
        self.passes = passes
        self.blur = nn.Parameter(torch.zeros(channels, 1, 3, 3))
        self.features = Steps(passes, (channels, 1, 1), GAIN)
        self.rgb = Steps(passes, (1, 1, 1), GAIN) if rgb else None
        self.styles = Steps(passes, (num_ws, 1), STYLE_GAIN)
        self.softness = nn.Parameter(torch.zeros(passes))
        self.power = nn.Parameter(torch.zeros(passes))

    def forward(
        self, k: int, encoding: Encoding, slope: Slope, velocity: Encoding, std: Tensor
    ) -> tuple[Encoding, Encoding]:
        """The encoding after pass k, at whose slope it was, and its velocity.

        `velocity` is that after the pass before, zero at first; `std` [C, 1, 1] is σ of F_i.
        """
        # Directions. A style that the image does not depend on has none and stays as it is.
        gradient, softness = slope.gradient, SOFTNESS * self.softness[k].exp()
        v = equalized(blurred(gradient.features * std, self.blur))
        s = soft_sign(unit(gradient.styles), softness)

        # Steps, which fall with the distance.
        distance = (slope.distance / USUAL_DISTANCE).clamp(1e-3, 3)
        size = (distance ** (POWER * self.power[k].exp()))[:, None, None]
        step, features = self.features(k, v, velocity.features)
        style_step, styles = self.styles(k, s, velocity.styles)
        step, style_step = size[..., None] * std * step, size * style_step

        # R_i, where there is one.
        rgb_step, rgb = None, None
        if self.rgb is not None and gradient.rgb is not None and velocity.rgb is not None:
            rgb_step, rgb = self.rgb(k, soft_sign(unit(gradient.rgb), softness), velocity.rgb)
            rgb_step = size[..., None] * rgb_step
        return encoding.plus(Encoding(step, rgb_step, style_step)), Encoding(features, rgb, styles)


class Steps(nn.Module):
    """The steps of one part of an encoding, all passes.

    Gains, of this shape, are `gain` at first. They are learned as exponents, as is momentum, so
    that one learning rate suits all.
    """

    def __init__(self, passes: int, shape: tuple[int, ...], gain: float) -> None:
        super().__init__()
        self.initial = gain
        self.gain = nn.Parameter(torch.zeros(passes, *shape))
        self.momentum = nn.Parameter(torch.zeros(passes))

    def forward(self, k: int, v: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """The step of pass k in direction −v, at the usual distance, and the velocity."""
        velocity = v + MOMENTUM * self.momentum[k].exp() * velocity
        return -self.initial * self.gain[k].exp() * velocity, velocity


def unit(gradient: Tensor) -> Tensor:
    """A gradient [N, …] in units of its root mean square over each image."""
    count = math.prod(gradient.shape[1:])
    length = torch.linalg.vector_norm(gradient.flatten(1), dim=1) / math.sqrt(count)
    return gradient / length.clamp_min(1e-12).reshape(-1, *[1] * (gradient.ndim - 1))


def soft_sign(u: Tensor, softness: Tensor | float) -> Tensor:
    """Near ±1 for what is large beside the softness, linear in what is small."""
    return u / (u.abs() + softness)


def equalized(maps: Tensor) -> Tensor:
    """Maps [N, C, H, W] as matrices [C, H · W] whose singular values are about equal, in units of
    their root mean square; zero where they are zero.
    """
    a, b, c = NEWTON_SCHULZ
    x = maps.flatten(2)
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-12)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return unit((x if wide else x.mT).reshape(maps.shape))


def blurred(maps: Tensor, change: Tensor) -> Tensor:
    """Maps [N, C, H, W], each channel blurred by a kernel of 3×3 cells: BLUR along either axis, its
    values changed by shares [C, 1, 3, 3].
    """
    row = torch.tensor(BLUR).to(maps)
    kernels = row[:, None] * row / row.sum() ** 2 * (1 + change)
    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernels, groups=maps.shape[1])
