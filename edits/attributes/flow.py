"""An edit of the styles as a linear flow on F_i and R_i: one convolution M, and its exponential.

[S] algorithm 2 trains a 1×1 convolution and adds c·M(F). Here F_i follows dF/dc = M(F), so that c
steps are exp(cM)F, of which [S]'s rule is the first order. Steps of the exponential add up,
exp(aM)·exp(bM) = exp((a + b)M): edits chain, and +c then −c returns, where c·M(F) would leave
−c²·M(M(F)) behind. With the same M it is also the better prediction.

M may read a neighbourhood. A head that turns moves its features across cells, and motion is a
spatial derivative, which a 1×1 convolution cannot take. So that the kernel stays small, it acts on
K coordinates of the C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from edits.masks import at_size
from invert.errors import UsageError
from invert.hardware.modes import default_modes, ordinary

RGB = 3
# norm of c·M at most, per step: the terms of a series stay near the size of its sum
LONGEST_STEP = 2.0
MAX_TERMS = 60


@dataclass(frozen=True, eq=False)
class LinearFlow:
    """M on (F_i, R_i): P∘kernel∘P⁺ on the channels of F_i, R_i's three channels beside them.

    basis      P [C, K] of full rank. Then exp(cM) = 1 + P(exp(c·kernel) − 1)P⁺ holds exactly,
               whatever its rounding
    kernel     [K, K, k, k] of odd k, or [K + 3, K + 3, k, k] where R_i exists; borders are drawn
               out
    rgb_scale  R_i's coordinates are R_i times this, so that they vary as much as those of F_i

    R_i is repeated to F_i's size to be read, and what is predicted for it there is averaged to
    R_i's size. Works on maps of any height and width. Raises :class:`UsageError` for shapes that do
    not fit.
    """

    basis: Tensor
    kernel: Tensor
    rgb_scale: float = 1.0

    def __post_init__(self) -> None:
        basis, kernel = list(self.basis.shape), list(self.kernel.shape)
        if len(basis) != 2 or not 1 <= basis[1] <= basis[0]:
            raise UsageError(f"expected a basis [C, K] with K ≤ C, got {basis}")
        widths = (basis[1], basis[1] + RGB)
        if len(kernel) != 4 or kernel[0] not in widths or kernel[0] != kernel[1]:
            raise UsageError(f"expected a kernel [K, K, k, k] with K one of {widths}, got {kernel}")
        if kernel[2] != kernel[3] or kernel[2] % 2 == 0:
            raise UsageError(f"expected a square kernel of odd side, got {kernel[2]}×{kernel[3]}")
        if not (math.isfinite(self.rgb_scale) and self.rgb_scale > 0):
            raise UsageError(f"expected a positive rgb_scale, got {self.rgb_scale}")

    @property
    def has_rgb(self) -> bool:
        """Whether R_i has coordinates beside those of F_i."""
        return self.kernel.shape[0] > self.basis.shape[1]

    @cached_property
    def inverse(self) -> Tensor:
        """P⁺ [K, C], with P⁺P = 1 in float64."""
        with default_modes():  # it is kept
            return torch.linalg.pinv(ordinary(self.basis.detach()).cpu().double())

    @property
    def norm(self) -> float:
        """Spectral norm of the kernel as a matrix [K, K·k²]: the scale of M, for the step size."""
        return torch.linalg.matrix_norm(self.kernel.detach().cpu().double().flatten(1), 2).item()

    def coordinates(self, features: Tensor, rgb: Tensor | None) -> Tensor:
        """[N, K or K + 3, H, W] of F_i [N, C, H, W] and R_i."""
        y = F.conv2d(features, self.inverse.to(features)[:, :, None, None])
        if not self.has_rgb or rgb is None:
            return y
        return torch.cat([y, self.rgb_scale * repeated(rgb, y)], 1)

    def maps(self, y: Tensor, rgb: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The maps of F_i and R_i that coordinates stand for; R_i's has the size of `rgb`."""
        count = self.basis.shape[1]
        features = F.conv2d(y[:, :count], self.basis.to(y)[:, :, None, None])
        if not self.has_rgb or rgb is None:
            return features, None
        return features, at_size(y[:, count:], rgb.shape[2:]) / self.rgb_scale

    def velocity(self, y: Tensor, rgb: Tensor | None, weight: Tensor) -> Tensor:
        """M(y) in coordinates, times the share of every cell that the mask covers ([1, 1, H, W],
        image size or 1×1).
        """
        reach, count = self.kernel.shape[2] // 2, self.basis.shape[1]
        padded = F.pad(y, (reach,) * 4, mode="replicate") if reach else y
        moved = F.conv2d(padded, self.kernel.to(y))
        features, colours = moved[:, :count], moved[:, count:]
        features = features * at_size(weight, y.shape[2:])
        if not self.has_rgb or rgb is None:
            return features
        size = rgb.shape[2:]
        return torch.cat([features, repeated(at_size(colours, size) * at_size(weight, size), y)], 1)

    def moved(
        self,
        y: Tensor,
        rgb: Tensor | None,
        strength: float | Tensor,
        weight: Tensor | None = None,
        tolerance: float | None = None,
    ) -> Tensor:
        """exp(cM) y for c = `strength`, a number or [N, 1, 1, 1]; under a mask exp(c·weight·M) y,
        which returns too.
        """
        share = (
            torch.ones(1, 1, 1, 1).to(y) if weight is None else at_size(weight.to(y), y.shape[2:])
        )
        return exponential(
            lambda t: self.velocity(t, rgb, share), y, strength, self.norm, tolerance
        )

    def displacement(
        self, features: Tensor, rgb: Tensor | None, strength: float, weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """What c steps add to F_i and R_i. For small c this is c·M, the rule of [S]."""
        y = self.coordinates(features, rgb)
        return self.maps(self.moved(y, rgb, strength, weight) - y, rgb)


def exponential(
    velocity: Callable[[Tensor], Tensor],
    y: Tensor,
    strength: float | Tensor,
    norm: float,
    tolerance: float | None = None,
) -> Tensor:
    """exp(c·A) y of the linear map A = `velocity`, whose norm is about `norm`: series over steps of
    |c|·norm ≤ 2.

    A series ends when a term is below `tolerance` (by default the rounding error) of the sum.
    Differentiable. After Al-Mohy and Higham, "Computing the action of the matrix exponential",
    2011.
    """
    if tolerance is None:
        tolerance = torch.finfo(y.dtype).eps
    largest = float(strength.abs().max()) if isinstance(strength, Tensor) else abs(strength)
    steps = max(1, math.ceil(largest * norm / LONGEST_STEP))
    for _ in range(steps):
        term = y
        for k in range(1, MAX_TERMS + 1):
            term = velocity(term) * (strength / (steps * k))
            y = y + term
            if term.detach().norm() <= tolerance * y.detach().norm():
                break
    return y


def repeated(rgb: Tensor, like: Tensor) -> Tensor:
    """R_i with every cell repeated over the cells of F_i in it; their mean gives R_i back."""
    return (
        rgb
        if rgb.shape[2:] == like.shape[2:]
        else F.interpolate(rgb, size=tuple(like.shape[2:]), mode="nearest")
    )
