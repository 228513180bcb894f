"""Mean and covariance of features, taken batch by batch, and the Fréchet distance of two of them.

D. C. Dowson and B. V. Landau, "The Fréchet distance between multivariate normal distributions",
1982; M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
Equilibrium", NeurIPS 2017, which takes features of Inception and calls it FID ([S] 2.5.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from invert.errors import UsageError
from invert.hardware.precision import widened


@dataclass(frozen=True, eq=False)
class Moments:
    """The first two moments of `count` feature vectors of D values, in float64.

    mean     [D]
    scatter  [D, D], Σ (x − mean)(x − mean)ᵀ; divided by count − 1 it is the covariance
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """The moments of features [N, D], N ≥ 1, where they lie (on the CPU for one without
        float64).
        """
        if features.ndim != 2 or not len(features):
            raise UsageError(f"expected features [N, D], N at least 1, got {list(features.shape)}")
        x = widened(features)
        mean = x.mean(0)
        return cls(len(x), mean, (x - mean).T @ (x - mean))

    def merged(self, other: Moments) -> Moments:
        """The moments of both sets together, exact but for rounding (Chan, Golub, LeVeque 1979)."""
        if self.mean.shape != other.mean.shape:
            raise UsageError(
                f"expected moments of {len(self.mean)} features, got those of {len(other.mean)}; "
                "one network must make both"
            )

        # Both scatters, and that of the two means.
        count = self.count + other.count
        step = other.mean - self.mean
        between = torch.outer(step, step) * (self.count * other.count / count)
        mean = self.mean + step * (other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    def cpu(self) -> Moments:
        """The same on the CPU."""
        return Moments(self.count, self.mean.cpu(), self.scatter.cpu())

    @property
    def covariance(self) -> Tensor:
        """[D, D], unbiased. Raises :class:`UsageError` for fewer than two vectors."""
        if self.count < 2:
            raise UsageError(f"expected at least 2 pictures for a covariance, got {self.count}")
        return self.scatter / (self.count - 1)


def frechet_distance(a: Moments, b: Moments) -> float:
    """|μ_a − μ_b|² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½), the squared distance of two normal
    distributions.

    The trace of (Σ_a Σ_b)^½ is the sum of the singular values of Σ_a^½ Σ_b^½, which stays accurate
    where a covariance is singular, as that of fewer pictures than features is.

    Raises :class:`UsageError` for moments of different widths, of fewer than two vectors, and for
    such that are not finite.
    """
    a, b = a.cpu(), b.cpu()
    if a.mean.shape != b.mean.shape:
        raise UsageError(
            f"expected moments of one network, got {len(a.mean)} and {len(b.mean)} features"
        )
    for moments in (a, b):
        if not (moments.mean.isfinite().all() and moments.scatter.isfinite().all()):
            raise UsageError("features that are not finite have no distance; look for NaN pixels")

    shift = (a.mean - b.mean).square().sum()
    root = torch.linalg.svdvals(square_root(a.covariance) @ square_root(b.covariance)).sum()
    distance = shift + a.covariance.trace() + b.covariance.trace() - 2 * root
    return max(0.0, distance.item())


def square_root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a covariance; what rounding made negative counts as zero."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
