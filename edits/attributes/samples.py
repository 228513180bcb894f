"""Generated points before and after an edit, at one layer: what attribute models learn from ([S]
algorithm 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.spaces import Space

SEEDS = 1024  # different streams of samples; torch's CPU generator reads 32 bits of a seed
PSI = (0.7, 1.0)  # range of the truncation, drawn evenly per point
CHUNK = 16  # points computed at a time


@dataclass(frozen=True)
class Pairs:
    """N points of FW_i and what the same w make after c steps, with the same noise below layer i.

    features  F_i [N, C, H, W] before and after
    rgb       R_i [N, 3, h, w] before and after, or None twice
    styles    [N, num_ws, w_dim] before and after
    strength  c [N, 1, 1, 1] in steps
    """

    features: tuple[Tensor, Tensor]
    rgb: tuple[Tensor | None, Tensor | None]
    styles: tuple[Tensor, Tensor]
    strength: Tensor


@dataclass(frozen=True)
class PairSampler:
    """Pair k depends on (seed, k) alone, however pairs are batched; 0 ≤ seed < 1024.

    offset  [num_ws, w_dim] of one step
    limit   strengths are drawn evenly from ±limit steps
    """

    generator: Generator
    layer: int
    offset: Tensor
    limit: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed < SEEDS:
            raise UsageError(f"seed is an integer in [0, {SEEDS}), got {self.seed}")

    def pairs(self, indices: range, strength: float | None = None) -> Pairs:
        """The pairs of some indices, with one strength for all or a drawn one for each."""
        generator = self.generator
        like = generator.w_avg

        # What is random about each pair: its strength, w, noise before layer i, and the F that
        # generators of FNZ_i start from.
        network = generator.network
        sizes = generator.shapes("NW+").noise[: self.layer - network.first]
        rows, maps, strengths, starts = [], [], [], []
        for k in indices:
            random = torch.Generator().manual_seed(k * SEEDS + self.seed)
            drawn = (
                2 * float(torch.rand((), generator=random, dtype=torch.float32)) - 1
            ) * self.limit
            strengths.append(drawn if strength is None else strength)
            rows.append(self._w(random))
            maps.append(
                [torch.randn(1, 1, *size, generator=random, dtype=torch.float32) for size in sizes]
            )
            starts.append(network.sampled_start(1, random))

        # w⁺ before, and w⁺ + c·v after.
        c = torch.tensor(strengths).to(like)
        before = torch.cat(rows)[:, None].repeat(1, generator.num_ws, 1)
        after = before + c[:, None, None] * self.offset.to(like)

        # F_i and R_i of both, with the same noise.
        noise = [torch.cat(group).to(like) for group in zip(*maps, strict=True)]
        start = torch.cat(starts)
        (x, rgb), (y, edited) = (self._maps(styles, noise, start) for styles in (before, after))
        return Pairs((x, y), (rgb, edited), (before, after), c[:, None, None, None])

    def chunks(self, indices: range, strength: float | None = None) -> Iterator[Pairs]:
        """The pairs of some indices, a few at a time."""
        for first in range(0, len(indices), CHUNK):
            yield self.pairs(indices[first : first + CHUNK], strength)

    def point(self, features: Tensor, rgb: Tensor | None, styles: Tensor) -> Latent:
        """FW_i of F_i, R_i and all styles."""
        space = Space("W+", self.layer)
        return Latent(
            space,
            styles[:, self.layer - 1 :],
            self.generator.fingerprint,
            features=features,
            rgb=rgb,
        )

    def _w(self, random: torch.Generator) -> Tensor:
        """A sampled w [1, w_dim]; conditional generators get a random class."""
        generator = self.generator
        psi = PSI[0] + (PSI[1] - PSI[0]) * float(
            torch.rand((), generator=random, dtype=torch.float32)
        )
        w = generator.random_w(1, random)
        return generator.w_avg + psi * (w - generator.w_avg)

    def _maps(
        self, styles: Tensor, noise: list[Tensor], start: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        with torch.no_grad():
            return self.generator.early_maps(styles, self.layer, noise, start)
