"""Where on a canvas companions belong: the windows of the training size that look like what the
generator makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.shapes import Size
from invert.projection.companion_fit import likely_styles

SEAM = 2  # cells at a window's border over which what is done to it fades
SEARCH_STEPS = 30
BATCH = 16  # windows that are searched at once
GRID = 8  # steps of the first search per training side
LIKELY = 0.9  # share missed after the search, below which a window is a candidate

Window = tuple[int, int]  # x and y of a window's left upper cell of F_i


@dataclass(frozen=True)
class Windows:
    """The parts of F_i and R_i that the companions of a latent describe: all of them, or windows of
    a canvas.

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
        """The windows of a latent of an F… space, at `corners` or at those that it has."""
        known = None if latent.companion is None else latent.companion.windows
        if corners is None and known is not None:
            corners = [(int(x), int(y)) for x, y in known[0].tolist()]
        sizes = generator.check(latent).features, generator.shapes(latent.space).features
        return cls(None if corners is None else tuple(corners), *sizes)

    def cut(self, t: Tensor) -> Tensor:
        """[K, C, h, w] of a map [1, C, H, W] of the canvas, F_i, R_i or a mask; a map seen whole as
        it is.
        """
        if self.corners is None or t.shape[2:] == (1, 1):
            return t
        return torch.cat([t[window] for window in self.slices(t)])

    def join(self, parts: Tensor, like: Tensor) -> Tensor:
        """The map of the size of `like` that holds [K, C, h, w] in its windows and 0 elsewhere.

        Windows fade over their last two cells, except at the canvas's own border; where they
        overlap it is their mean.
        """
        if self.corners is None:
            return parts
        whole, total = torch.zeros_like(like), torch.zeros_like(like[:, :1])
        for part, window, corner in zip(parts, self.slices(like), self.corners, strict=True):
            weight = self.fade(corner, part)
            whole[window] += weight * part
            total[window] += weight
        return whole / total.clamp_min(1)

    def slices(self, t: Tensor) -> list[tuple[slice, ...]]:
        """The index of each window into a map of the canvas; maps may have other cells than F_i."""
        assert self.corners is not None
        (height, width), (h, w) = self.canvas, self.size
        down, across = t.shape[2] / height, t.shape[3] / width
        return [
            (slice(None), slice(None), slice(round(y * down), round((y + h) * down)),
             slice(round(x * across), round((x + w) * across)))
            for x, y in self.corners
        ]  # fmt: skip

    def fade(self, corner: Window, part: Tensor) -> Tensor:
        """The weight [1, h, w] of a window's cells."""
        weights = []
        for start, side, whole, cells in zip(
            reversed(corner), self.size, self.canvas, part.shape[1:], strict=True
        ):
            inside = (
                (torch.arange(cells, device=part.device, dtype=part.dtype) + 0.5)
                * (side / cells)
                / SEAM
            )
            before = inside if start > 0 else torch.ones_like(inside)
            after = inside.flip(0) if start + side < whole else torch.ones_like(inside)
            weights.append(torch.minimum(before, after).clamp(max=1))
        return (weights[0][:, None] * weights[1])[None]


def find_windows(generator: Generator, latent: Latent) -> list[Window]:
    """Where windows of the training size on the canvas of one point may be what the generator
    makes, from the top left.

    The share of F_i and R_i that likely styles miss after a few steps
    (`companion_fit.likely_styles`) is low where a
    face lies as training had it, and near 1 between faces. Windows of a coarse grid are searched,
    then the cells around
    those that are better than their neighbours; none overlaps a better one by more than half both
    ways.
    """
    whole = Windows.from_latent(generator, latent, [])
    (height, width), (h, w) = whole.canvas, whole.size
    # R_i has whole cells too
    even = 1 if latent.rgb is None or latent.rgb.shape[2] == height else 2
    step = even * max(1, h // GRID // even)
    grid = [(x, y) for y in stops(height - h, step) for x in stops(width - w, step)]
    found: dict[Window, float] = {}
    for window in apart(valleys(missed(generator, latent, grid), step), (h, w)):
        near = [
            (x, y)
            for y in range(
                max(0, window[1] - step + even), min(height - h, window[1] + step - even) + 1, even
            )
            for x in range(
                max(0, window[0] - step + even), min(width - w, window[0] + step - even) + 1, even
            )
        ]
        found |= missed(generator, latent, near)
    return sorted(apart(found, (h, w)), key=lambda window: (window[1], window[0]))


def stops(last: int, step: int) -> list[int]:
    """0, step, 2·step … and the last one."""
    return sorted({*range(0, last + 1, step), last})


def missed(generator: Generator, latent: Latent, windows: Sequence[Window]) -> dict[Window, float]:
    """The share of each window that likely styles miss after a short search."""
    shares: list[float] = []
    for start in range(0, len(windows), BATCH):
        batch = Windows.from_latent(generator, latent, windows[start : start + BATCH])
        targets = [batch.cut(t) for t in (latent.features, latent.rgb) if t is not None]
        shares += likely_styles(generator, latent.space, targets, SEARCH_STEPS)[1].tolist()
    return dict(zip(windows, shares, strict=True))


def valleys(shares: dict[Window, float], reach: int) -> dict[Window, float]:
    """The windows with no better one within `reach` cells both ways."""
    return {
        (x, y): share
        for (x, y), share in shares.items()
        if not any(
            abs(x - a) <= reach and abs(y - b) <= reach and other < share
            for (a, b), other in shares.items()
        )
    }


def apart(shares: dict[Window, float], size: Size) -> list[Window]:
    """Likely windows from the best on, without those that overlap a better one by more than half
    both ways.
    """
    kept: list[Window] = []
    for x, y in sorted(shares, key=shares.__getitem__):
        crowded = any(2 * abs(x - a) < size[1] and 2 * abs(y - b) < size[0] for a, b in kept)
        if shares[x, y] < LIKELY and not crowded:
            kept.append((x, y))
    return kept
