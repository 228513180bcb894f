"""The W space that directions live in: which mapping network made it, and σ along a vector.

Synthesis networks that share a mapping network share their directions, so a direction is tied to
the mapping network alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from invert.errors import UsageError
from invert.hardware.modes import without_autocast
from invert.latents.statistics import W_SAMPLES, sample_w
from invert.latents.w_spaces import w_space_name

if TYPE_CHECKING:
    from invert.generator import Generator

__all__ = ["WSpace", "w_space_name"]


@dataclass(frozen=True, eq=False)
class WSpace:
    """A W space by name and samples.

    name     "ffhq" for the mapping network of StyleGAN2 FFHQ (official and ffhq-mobile), else
             "mapping-" and a hash
    samples  w [M, w_dim] at psi = 1
    """

    name: str
    samples: Tensor

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or len(self.samples) < 2:
            raise UsageError(
                f"expected at least two samples [M, w_dim], got {list(self.samples.shape)}"
            )

    @classmethod
    def from_generator(cls, generator: Generator, count: int = W_SAMPLES) -> WSpace:
        """The W space of a generator, with `count` seeded samples."""
        return cls(w_space_name(generator), sample_w(generator.network, count).cpu().float())

    @property
    def w_dim(self) -> int:
        """Number of components of w."""
        return self.samples.shape[1]

    @without_autocast()
    def std_along(self, vectors: Tensor) -> float:
        """σ, the standard deviation of W along unit vectors [w_dim] or [num_ws, w_dim].

        Of several rows v_r it is √(mean over r of Var⟨w, v_r⟩); for equal rows that of one.
        """
        along = self.samples @ vectors.cpu().reshape(-1, self.w_dim).float().T  # [M, rows]
        return along.var(0).mean().sqrt().item()
