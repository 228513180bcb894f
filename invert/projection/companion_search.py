"""Finds the windows of a canvas that show a face: those that likely styles explain."""

from __future__ import annotations

from collections.abc import Sequence

from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.shapes import Size
from invert.projection.companion_fit import likely_styles
from invert.projection.companion_windows import Window, Windows

SEARCH_STEPS = 30  # of Adam for each window
BATCH = 16  # windows that are fitted at once
GRID = 8  # windows of the coarse grid per training side
MAX_UNEXPLAINED = 0.9  # share of F_i and R_i after the search; a window above is no candidate


def find_windows(generator: Generator, latent: Latent) -> list[Window]:
    """The candidate windows of one point on a canvas, row by row.

    The share of F_i and R_i that likely styles leave unexplained after a few steps is low where a
    face lies as in training, and near 1 between faces. Windows of a coarse grid are searched, then
    the cells around its local minima. None of the result overlaps a better one by more than half
    both ways.
    """
    whole = Windows.from_latent(generator, latent, [])
    (height, width), (h, w) = whole.canvas, whole.size
    last_x, last_y = width - w, height - h

    # The unit of corners is that of whole cells of R_i, which may be half as many.
    unit = 1 if latent.rgb is None or latent.rgb.shape[2] == height else 2
    stride = unit * max(1, h // GRID // unit)

    # Coarse: the local minima of a grid.
    grid = [(x, y) for y in stops(last_y, stride) for x in stops(last_x, stride)]
    minima = local_minima(unexplained(generator, latent, grid), stride)

    # Fine: every corner nearer to a minimum than the next one of the grid.
    reach = stride - unit
    shares: dict[Window, float] = {}
    for x, y in suppress_overlap(minima, (h, w)):
        rows = range(max(0, y - reach), min(last_y, y + reach) + 1, unit)
        columns = range(max(0, x - reach), min(last_x, x + reach) + 1, unit)
        near = [(x, y) for y in rows for x in columns]
        shares |= unexplained(generator, latent, near)

    return sorted(suppress_overlap(shares, (h, w)), key=lambda window: (window[1], window[0]))


def stops(last: int, stride: int) -> list[int]:
    """0, stride, 2·stride … and the last one."""
    return sorted({*range(0, last + 1, stride), last})


def unexplained(
    generator: Generator, latent: Latent, windows: Sequence[Window]
) -> dict[Window, float]:
    """The share of each window that likely styles leave unexplained after a short search."""
    shares: list[float] = []
    for first in range(0, len(windows), BATCH):
        batch = Windows.from_latent(generator, latent, windows[first : first + BATCH])
        targets = [batch.cut(t) for t in (latent.features, latent.rgb) if t is not None]
        shares += likely_styles(generator, latent.space, targets, SEARCH_STEPS)[1].tolist()
    return dict(zip(windows, shares, strict=True))


def local_minima(shares: dict[Window, float], reach: int) -> dict[Window, float]:
    """The windows with no better one within `reach` cells both ways."""
    return {
        (x, y): share
        for (x, y), share in shares.items()
        if not any(
            abs(x - a) <= reach and abs(y - b) <= reach and other < share
            for (a, b), other in shares.items()
        )
    }


def suppress_overlap(shares: dict[Window, float], size: Size) -> list[Window]:
    """Candidates from the best on, without those that overlap a better one by half both ways."""
    height, width = size
    candidates: list[Window] = []
    for x, y in sorted(shares, key=shares.__getitem__):
        overlaps = any(2 * abs(x - a) < width and 2 * abs(y - b) < height for a, b in candidates)
        if shares[x, y] < MAX_UNEXPLAINED and not overlaps:
            candidates.append((x, y))
    return candidates
