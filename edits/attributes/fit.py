"""Least squares for the flow of an attribute model: its coordinates, its kernel, and what it
explains.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from edits.attributes.flow import LinearFlow
from edits.attributes.samples import Pairs, PairSampler
from invert.hardware.precision import widened


def principal_channels(sample: Iterable[Pairs], rank: int) -> tuple[Tensor, float]:
    """Orthonormal basis [C, min(rank, C)] in float64, and R_i's scale.

    Principal directions of F_i, which is read, and of its displacements, which are written, in
    equal parts (uncentred: M has no bias). The scale gives R_i the root mean square of F_i's
    coordinates; it is 1 without R_i.
    """
    # Gram matrices of F_i and of its displacements, and the mean square of R_i.
    read, write, squares, values = torch.zeros(()), torch.zeros(()), 0.0, 0
    cells = 0
    for pairs in sample:
        (before, after), rgb = pairs.features, pairs.rgb[0]
        read, write = read + gram(before), write + gram(after - before)
        cells += before[:, 0].numel()
        if rgb is not None:
            squares, values = squares + widened(rgb).square().sum().item(), values + rgb.numel()

    # The eigenvectors of their sum, each divided by its trace so that both count alike.
    channels = len(read)
    count = min(rank, channels)
    basis = torch.eye(channels, dtype=torch.float64)
    if count < channels:
        both = read / read.trace() + write / write.trace()
        basis = torch.linalg.eigh(both).eigenvectors[:, -count:]

    # R_i's scale: the root mean square of coordinates over that of R_i.
    if not values:
        return basis, 1.0
    features = (basis.T @ read @ basis).trace().item() / (cells * count)
    return basis, sqrt(features * values / squares)


def gram(maps: Tensor) -> Tensor:
    """Σ x xᵀ [C, C] over the cells of [N, C, H, W], in float64."""
    rows = maps.movedim(1, -1).flatten(0, -2)
    return (rows.T @ rows).cpu().double()


@dataclass(frozen=True)
class NormalEquations:
    """Sums over cells for min Σ |c·M x − d|²: A = Σ c² x xᵀ, B = Σ c d xᵀ and Σ |d|².

    x [K·k²] is the neighbourhood of a cell in coordinates before the edit, d [K] its displacement.
    """

    a: Tensor
    b: Tensor
    energy: float

    @classmethod
    def from_coordinates(
        cls, y: Tensor, moved: Tensor, strength: Tensor, kernel_size: int
    ) -> NormalEquations:
        """Of coordinates [N, K, H, W] before and after c steps, c [N, 1, 1, 1]."""
        # c·x: the neighbourhoods of all cells as rows.
        reach = kernel_size // 2
        padded = F.pad(y * strength, (reach,) * 4, mode="replicate") if reach else y * strength
        x = F.unfold(padded, kernel_size).transpose(1, 2).flatten(0, 1)

        d = (moved - y).movedim(1, -1).flatten(0, -2)
        energy = widened(d).square().sum().item()
        return cls((x.T @ x).cpu().double(), (d.T @ x).cpu().double(), energy)

    def __add__(self, other: NormalEquations) -> NormalEquations:
        return NormalEquations(self.a + other.a, self.b + other.b, self.energy + other.energy)

    def kernel(self, ridge: float) -> Tensor:
        """[K, K, k, k] in float64. `ridge` is in units of the mean square of x.

        It is what training on coordinates plus white noise of that variance, which the edit should
        leave alone, comes to: projected features hold what no generated ones do.
        """
        n = len(self.a)
        a = self.a + ridge * self.a.trace() / n * torch.eye(n, dtype=self.a.dtype)
        count = len(self.b)
        side = round(sqrt(n / count))
        return torch.linalg.solve(a, self.b.T).T.reshape(count, count, side, side)

    def missed(self, kernel: Tensor) -> float:
        """Share of Σ |d|² that c·M(x) leaves."""
        m = kernel.flatten(1).to(self.a)
        return 1 - (2 * (m * self.b).sum().item() - ((m @ self.a) * m).sum().item()) / self.energy


def explained(
    flow: LinearFlow, sampler: PairSampler, indices: range, strength: float
) -> dict[str, float]:
    """Share of the displacements' squares that the flow predicts, 1 − Σ|D̂ − D|²/Σ|D|², of F_i and
    R_i.
    """
    errors, energies = {"features": 0.0, "rgb": 0.0}, {"features": 0.0, "rgb": 0.0}
    for pairs in sampler.chunks(indices, strength):
        predicted = flow.displacement(pairs.features[0], pairs.rgb[0], strength)
        for name, (before, after), guess in zip(
            errors, (pairs.features, pairs.rgb), predicted, strict=True
        ):
            if before is None or after is None or guess is None:
                continue  # this generator has no R_i there

            truth = widened(after - before)
            errors[name] += (guess.to(truth) - truth).square().sum().item()
            energies[name] += truth.square().sum().item()

    return {name: 1 - errors[name] / energies[name] for name in errors if energies[name]}
