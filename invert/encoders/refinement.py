"""A learned step of gradient descent: it brings an encoding nearer to its image.

The encoding is rendered, and a small network sees the image, the rendering, F_i and the gradient of
their distance with respect to F_i and to the styles. Feeding the rendering back is ReStyle's idea
(Alaluf et al., arXiv:2104.02699), learning from the gradient that of learned optimizers
(Andrychowicz et al., arXiv:1606.04474): the gradient says in F_i's own cells what is missing, which
a network that only sees images has to infer.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invert.encoders.encoding import Encoding
from invert.encoders.slope import Slope

HIDDEN = 160  # channels of the map from which ΔF is made
STYLE_HIDDEN = 24  # of the vector from which Δw is made
GAIN, STYLE_GAIN = 0.08, 0.03  # first step sizes, in σ of F_i's channels and in w
SOFTNESS = 0.3  # a gradient of this many root mean squares moves a value half as far as a large one
CLIP = 5.0  # largest gradient in root mean squares that the network sees
POWER = 0.7  # of the distance, at first
USUAL_DISTANCE = 0.3  # of an encoding to a photograph: gains are for it


class Refinement(nn.Module):
    """Steps ΔF, ΔR and Δw from the slope at an encoding.

        ΔF = σ · d^p · (−gain · v − M v + N(F, u, v, target − image, target))

    with d the distance, u the gradient in units of its root mean square, v = u / (|u| + softness),
    which softly keeps its sign as Adam's first step does, M a linear map of channels, and N two
    convolutions that see a cell's pixels as channels. Δw is made alike, layer by layer; ΔR is
    −gain · v alone. M and N are zero at first, so that an untrained one descends by the sign of the
    gradient. Each of the `passes` has its own gains and power p.

    `scale` is the number of pixels per side of a cell of F_i, in the slope's image.
    """

    def __init__(
        self, passes: int, channels: int, num_ws: int, w_dim: int, scale: int, *, rgb: bool
    ) -> None:
        super().__init__()
        self.passes, self.scale = passes, scale

        # The sign step: gains per channel and layer, and how they fall with the distance.
        self.gain = nn.Parameter(torch.full((passes, channels, 1, 1), GAIN))
        self.rgb_gain = nn.Parameter(torch.full((passes,), GAIN)) if rgb else None
        self.style_gain = nn.Parameter(torch.full((passes, num_ws, 1), STYLE_GAIN))
        self.power = nn.Parameter(torch.full((passes,), POWER))

        # What mixes channels, and what sees the image.
        self.turn = nn.Conv2d(channels, channels, 1, bias=False)
        self.style_turn = nn.Linear(w_dim, w_dim, bias=False)
        self.enter = nn.Conv2d(3 * channels + 2 * 3 * scale**2, HIDDEN, 1)
        self.mix = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1),
        )
        self.leave = nn.Conv2d(HIDDEN, channels, 1)
        self.style_enter = nn.Linear(HIDDEN, STYLE_HIDDEN)
        self.style_leave = nn.Linear(STYLE_HIDDEN, num_ws * w_dim)
        for module in (self.turn, self.style_turn, self.leave, self.style_leave):
            for parameter in module.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self, k: int, encoding: Encoding, slope: Slope, mean: Tensor, std: Tensor
    ) -> Encoding:
        """The encoding after pass k, at whose slope it was; `mean`, `std` [C, 1, 1] are of F_i."""
        # The gradient with respect to normalized features, and its soft sign.
        features = (encoding.features - mean) / std
        u = unit(slope.gradient.features * std)
        v = soft_sign(u)

        # What the network sees: pixels of a cell are channels.
        missing = F.pixel_unshuffle(slope.target - slope.image, self.scale)
        seen = F.pixel_unshuffle(slope.target, self.scale)
        x = self.enter(torch.cat([features, u.clamp(-CLIP, CLIP), v, missing, seen], 1))
        x = F.silu(x + self.mix(x))

        # Steps fall with the distance.
        size = (slope.distance / USUAL_DISTANCE).clamp(1e-3, 3) ** self.power[k]
        delta = -self.gain[k] * v - self.turn(v) + self.leave(x)
        delta = std * delta * size[:, None, None, None]

        # Styles: the same for each layer, and what the whole map says. A style that the image does
        # not depend on has no gradient and stays as it is.
        s = soft_sign(unit(slope.gradient.styles))
        whole = self.style_leave(F.silu(self.style_enter(x.mean(dim=(2, 3)))))
        style_delta = whole.reshape(s.shape) - self.style_gain[k] * s - self.style_turn(s)
        matters = (s != 0).any(dim=2, keepdim=True)
        style_delta = style_delta * size[:, None, None] * matters

        rgb_delta = None
        if self.rgb_gain is not None and slope.gradient.rgb is not None:
            sign = soft_sign(unit(slope.gradient.rgb))
            rgb_delta = -self.rgb_gain[k] * sign * size[:, None, None, None]
        return encoding.plus(Encoding(delta, rgb_delta, style_delta))


def unit(gradient: Tensor) -> Tensor:
    """A gradient [N, …] in units of its root mean square over each image."""
    count = math.prod(gradient.shape[1:])
    length = torch.linalg.vector_norm(gradient.flatten(1), dim=1) / math.sqrt(count)
    return gradient / length.clamp_min(1e-12).reshape(-1, *[1] * (gradient.ndim - 1))


def soft_sign(u: Tensor) -> Tensor:
    """Near ±1 for what is large beside the softness, linear in what is small."""
    return u / (u.abs() + SOFTNESS)
