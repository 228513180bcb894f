"""Which cells of its input a layer reads for some cells of its output, along one axis.

Cells count from the edge of the picture, also where they lie beyond it and are zero.
"""

from __future__ import annotations

from invert.networks.windows import Interval


def read_by_conv(cells: Interval, taps: int = 3) -> Interval:
    """Of a convolution of odd length that keeps the size: as many cells more on either side."""
    return cells[0] - taps // 2, cells[1] + taps // 2


def read_by_upsampling(cells: Interval, taps: int, before: int) -> Interval:
    """Of a transposed convolution of stride 2: y[j] = Σ_i x[i] k[j + before − 2i], 0 ≤ k < taps."""
    first, last = cells[0], cells[1] - 1
    return -(-(first + before - taps + 1) // 2), (last + before) // 2 + 1


def read_by_blur(cells: Interval, taps: int, before: int) -> Interval:
    """Of a filter y[j] = Σ_k x[j + k − before], 0 ≤ k < taps."""
    return cells[0] - before, cells[1] - before + taps - 1


def hull(a: Interval, b: Interval) -> Interval:
    """The smallest interval that contains both."""
    return min(a[0], b[0]), max(a[1], b[1])
