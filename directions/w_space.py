"""The W space that directions live in: which mapping network made it, and how far it spreads along a vector.

Synthesis networks that share a mapping network share their directions, so a direction is tied to the mapping alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invert.checkpoints import fingerprint
from invert.errors import UsageError
from invert.statistics import W_SAMPLES, sample_w

if TYPE_CHECKING:
    from invert.generator import Generator

# The first values of w for seed 0. Copies fold and round the weights differently, so values are compared, not hashes.
PROBES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {"ffhq": (0.1942, -0.1380, 1.1572, 0.0317, 0.1874, -0.4087, -0.1042, -0.1642, 0.5130, -0.0883, -0.2490, -0.0356)}
)
PROBE_TOLERANCE = 0.02  # one component of w has a standard deviation of 0.4


@dataclass(frozen=True, eq=False)
class WSpace:
    """A W space by name and samples.

    name     "ffhq" for the mapping network of StyleGAN2 FFHQ (official and ffhq-mobile), else "mapping-" and a hash
    samples  w [M, w_dim] at psi = 1
    """

    name: str
    samples: Tensor

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or len(self.samples) < 2:
            raise UsageError(f"expected at least two samples [M, w_dim], got {list(self.samples.shape)}")

    @classmethod
    def of(cls, generator: Generator, count: int = W_SAMPLES) -> WSpace:
        """The W space of a generator, with `count` seeded samples."""
        return cls(w_space_name(generator), sample_w(generator.network, count).cpu().float())

    @property
    def w_dim(self) -> int:
        return self.samples.shape[1]

    def spread(self, vectors: Tensor) -> float:
        """Standard deviation of W along unit vectors [w_dim] or [num_ws, w_dim]: one step.

        Of several rows v_r, the root mean square over r of the deviations of ⟨w, v_r⟩; for equal rows that of one.
        """
        along = self.samples @ vectors.cpu().reshape(-1, self.w_dim).float().T  # [M, rows]
        return along.var(0).mean().sqrt().item()


def w_space_name(generator: Generator) -> str:
    """The name of a generator's W space; equal for all generators with the same mapping network."""
    if generator.c_dim == 0:
        w = generator.sample(0).styles
        assert isinstance(w, Tensor)
        for name, values in PROBES.items():
            probe = torch.tensor(values, dtype=w.dtype, device=w.device)
            if w.shape[1] >= len(probe) and bool(((w[0, : len(probe)] - probe).abs() < PROBE_TOLERANCE).all()):
                return name
    return "mapping-" + fingerprint(generator.network.mapping.state_dict(), {})[:16]
