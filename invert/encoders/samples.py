"""Generated points, a batch at a time: endless labelled data once they are rendered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from invert.encoders.encoding import Encoding
from invert.encoders.white_noise import white_noise
from invert.errors import UsageError
from invert.generator import Generator

# Different sets of samples. torch's CPU generator reads 32 bits of a seed, so a set has up to four
# million batches.
SEEDS = 1024


class Points(NamedTuple):
    """N points of FNW_i: what an encoder should find, and noise of the layers from i on."""

    encoding: Encoding
    noise: list[Tensor]  # maps [N, 1, h, w]


@dataclass(frozen=True)
class Samples:
    """Batch k of N points depends on (seed, k, N) alone, whatever the device; 0 ≤ seed < 1024.

    layer    i
    moved    share of points whose maps were moved, what comes in mirrored: faces are not always
             where training had them
    reach    cells of the coarsest map by which one is moved at most, as a share of its side
    mixing   share of points whose later styles come from a second w, from a random layer on ([K]'s
             style mixing)
    psi      range of the truncation, drawn evenly per point
    """

    generator: Generator
    layer: int
    seed: int = 0
    moved: float = 0.25
    reach: float = 0.2
    mixing: float = 0.5
    psi: tuple[float, float] = (0.7, 1.0)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < SEEDS:
            raise UsageError(f"seed is an integer in [0, {SEEDS}), got {self.seed}")

    def random(self, k: int) -> torch.Generator:
        """The random numbers of batch k, from the start."""
        return torch.Generator().manual_seed(k * SEEDS + self.seed)

    def points(self, k: int, count: int) -> Points:
        """Batch k."""
        return self.draw(count, self.random(k))

    def draw(self, count: int, random: torch.Generator) -> Points:
        """New points, and noise for their images."""
        return Points(self.encodings(count, random), self.noise(count, random))

    def encodings(self, count: int, random: torch.Generator) -> Encoding:
        """F_i, R_i and all styles of new points."""
        styles = self._styles(count, random)
        network = self.generator.network
        sizes = self.generator.shapes("NW+").noise[: self.layer - network.first]
        noise = [
            torch.randn(count, 1, *size, generator=random, dtype=torch.float32).to(styles)
            for size in sizes
        ]
        start = network.sampled_start(count, random)
        with torch.no_grad():
            features, rgb = self.generator.early_maps(styles, self.layer, noise, start)

        # Whole cells of both maps, as shares of their sides.
        sides = [t.shape[2:] for t in (features, rgb) if t is not None]
        height, width = map(min, zip(*sides, strict=True))
        cells = round(self.reach * min(height, width))
        chosen = torch.rand(count, 1, generator=random, dtype=torch.float32) < self.moved
        steps = torch.randint(-cells, cells + 1, (count, 2), generator=random) * chosen
        shares = steps / torch.tensor([height, width], dtype=torch.float32)
        return Encoding(
            moved(features, shares), None if rgb is None else moved(rgb, shares), styles
        )

    def noise(self, count: int, random: torch.Generator) -> list[Tensor]:
        """Noise maps [count, 1, h, w] of the layers from i on."""
        network = self.generator.network
        sizes = self.generator.shapes("NW+").noise[self.layer - network.first :]
        like = network.start()
        return [white_noise(count, 1, size, random, like) for size in sizes]

    def _styles(self, count: int, random: torch.Generator) -> Tensor:
        """Styles [count, num_ws, w_dim], truncated, some of two w."""
        generator = self.generator
        num_ws = generator.num_ws
        low, high = self.psi
        psi = low + (high - low) * torch.rand(count, 1, generator=random, dtype=torch.float32)
        both = torch.rand(count, 1, generator=random, dtype=torch.float32) < self.mixing
        crossover = torch.randint(1, num_ws, (count, 1), generator=random)
        later = both & (torch.arange(num_ws) >= crossover)

        w = generator.random_w(2 * count, random)
        w = generator.w_avg + psi.repeat(2, 1).to(w) * (w - generator.w_avg)
        first, second = w.chunk(2)
        return torch.where(later.to(w.device)[:, :, None], second[:, None], first[:, None])


def moved(maps: Tensor, shares: Tensor) -> Tensor:
    """Maps [N, C, H, W], each moved down and right by its shares [N, 2] of their sides.

    Content is mirrored into what comes in, without repeating the edge. Shares are whole cells, and
    below 1.
    """
    cells = (shares * torch.tensor(maps.shape[2:], dtype=torch.float32)).round().long()
    rows, columns = (
        mirror(torch.arange(side) - cells[:, axis, None], side).to(maps.device)
        for axis, side in enumerate(maps.shape[2:])
    )

    # [N, H, W] of three indices picks [N, H, W, C].
    number = torch.arange(len(maps), device=maps.device)[:, None, None]
    picked = maps.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def mirror(places: Tensor, side: int) -> Tensor:
    """Places outside [0, side) reflected at the first and the last."""
    places = places.abs()
    return torch.where(places >= side, 2 * (side - 1) - places, places)
