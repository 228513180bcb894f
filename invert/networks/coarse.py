"""Depthwise 3×3 kernels for averages: a layer that is run at a lower resolution than its own.

The average of a convolution over blocks of r×r cells is a convolution of coarser maps, exactly so
where the input is known by its Haar bands (r = 2), and for any r where it is constant in each
block. Per axis a tap reaches from a block into its neighbour with one cell of r:

    below  [1/r, 0, 0],  same  [(r − 1)/r, 1, (r − 1)/r],  above  [0, 0, 1/r].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def coarse_kernel(kernel: Tensor, ratio: int) -> Tensor:
    """The kernels [C, 1, 3, 3] that make averages of averages over `ratio`² cells."""
    t = mean_taps(kernel, ratio)
    return t @ kernel @ t.T


def band_kernel(kernel: Tensor) -> Tensor:
    """Kernels [4C, 1, 3, 3] for the Haar bands ll, lh, hl, hh of the input of `kernel`.

    The sum of what they make of the four bands is the output's average over 2×2 cells.
    """
    # Down the columns and along the rows, bands are means or differences of two cells.
    mean, difference = mean_taps(kernel, 2), difference_taps(kernel)
    pairs = ((mean, mean), (difference, mean), (mean, difference), (difference, difference))
    return torch.cat([down @ kernel @ across.T for down, across in pairs])


def mean_taps(like: Tensor, ratio: int) -> Tensor:
    """[3, 3]: from taps −1, 0, 1 of cells to those of blocks, for inputs constant in a block."""
    share = 1 / ratio
    return filled(
        like, [(0, 0, share), (1, 0, 1 - share), (1, 1, 1.0), (1, 2, 1 - share), (2, 2, share)]
    )


def difference_taps(like: Tensor) -> Tensor:
    """The same for blocks of two cells with opposite values, the first one's in the band."""
    return filled(like, [(0, 0, -0.5), (1, 0, 0.5), (1, 2, -0.5), (2, 2, 0.5)])


def filled(like: Tensor, entries: Sequence[tuple[int, int, float]]) -> Tensor:
    """[3, 3] with values at (row, column), zeros elsewhere.

    A tensor made of a list would be copied to the device, which cannot be recorded as a graph.
    """
    taps = like.new_zeros(3, 3)
    for row, column, value in entries:
        taps[row, column] = value
    return taps
