"""The windows of a canvas that companions describe: cut them out, and join them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.shapes import Size

SEAM = 2  # cells at a window's border over which its weight falls to 0

Window = tuple[int, int]  # x and y of a window's left upper cell of F_i


@dataclass(frozen=True)
class Windows:
    """The parts of F_i and R_i that the companions of a latent describe.

    corners  of the windows; None where the latent has the training size, and its companion
             describes it whole
    canvas   (height, width) of F_i in cells
    size     the same at the training size, which is that of a window
    """

    corners: tuple[Window, ...] | None
    canvas: Size
    size: Size

    @classmethod
    def from_latent(
        cls, generator: Generator, latent: Latent, corners: Sequence[Window] | None = None
    ) -> Windows:
        """The windows of a latent of an F… space, at `corners` or at those of its companion."""
        known = None if latent.companion is None else latent.companion.windows
        if corners is None and known is not None:
            corners = [(int(x), int(y)) for x, y in known[0].tolist()]
        sizes = generator.check(latent).features, generator.shapes(latent.space).features
        return cls(None if corners is None else tuple(corners), *sizes)

    def cut(self, t: Tensor) -> Tensor:
        """The windows [K, C, h, w] of a map [1, C, H, W] of the canvas: F_i, R_i or a mask.

        A map is returned as it is where there are no windows, or where it has one cell for all.
        """
        if self.corners is None or t.shape[2:] == (1, 1):
            return t
        return torch.cat([t[index] for index in self.slices(t)])

    def join(self, parts: Tensor, like: Tensor) -> Tensor:
        """The map of the size of `like` that holds [K, C, h, w] in its windows and 0 elsewhere.

        Windows fade over their last two cells, except at the canvas's own border. Where they
        overlap, it is their weighted mean.
        """
        if self.corners is None:
            return parts

        # Σ weight · part / Σ weight; a sum below 1 is a border that fades to 0.
        canvas, total = torch.zeros_like(like), torch.zeros_like(like[:, :1])
        for part, index, corner in zip(parts, self.slices(like), self.corners, strict=True):
            weight = self.fade(corner, part)
            canvas[index] += weight * part
            total[index] += weight
        return canvas / total.clamp_min(1)

    def slices(self, t: Tensor) -> list[tuple[slice, ...]]:
        """The index of each window into a map of the canvas; maps may have other cells than F_i."""
        assert self.corners is not None
        (height, width), (h, w) = self.canvas, self.size
        down, across = t.shape[2] / height, t.shape[3] / width

        indices: list[tuple[slice, ...]] = []
        for x, y in self.corners:
            rows = slice(round(y * down), round((y + h) * down))
            columns = slice(round(x * across), round((x + w) * across))
            indices.append((slice(None), slice(None), rows, columns))
        return indices

    def fade(self, corner: Window, part: Tensor) -> Tensor:
        """The weight [1, h, w] of a window's cells, in [0, 1]."""
        weights = []
        for first, side, canvas, cells in zip(
            reversed(corner), self.size, self.canvas, part.shape[1:], strict=True
        ):
            # A cell's distance to the window's border, in seams; 1 where that is the canvas's.
            distance = torch.arange(cells, device=part.device, dtype=part.dtype) + 0.5
            ramp = distance * (side / cells) / SEAM
            before = ramp if first > 0 else torch.ones_like(ramp)
            after = ramp.flip(0) if first + side < canvas else torch.ones_like(ramp)
            weights.append(torch.minimum(before, after).clamp(max=1))

        down, across = weights
        return (down[:, None] * across)[None]
