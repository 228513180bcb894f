"""White noise on a plane without end: a value depends on its seed, channel and place alone.

Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) is a function from a
counter to random bits, so any part of the plane can be drawn by itself, in any order. The plane is
divided into blocks of 32×32 cells; the counter holds the block's row and column, and the key the
seed and the field. A larger window therefore contains the smaller one, value by value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from invert.arguments import check_integer, check_seed
from invert.errors import UsageError

BLOCK = 32  # cells per side; another value is another noise
MAX_PLACE = 2**40  # cells from the origin; counters hold 2⁶³
MAX_FIELD = 2**32 - 1

Interval = tuple[int, int]  # of cells, half open, as in `invert.networks.windows`


@dataclass(frozen=True)
class PlacedNoise:
    """Standard normal values of a plane without end.

    seed   in [0, 2³² − 1]
    field  an integer in the same range: fields of one seed are independent of each other, as those
           of different seeds are
    """

    seed: int
    field: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", check_seed(self.seed))
        object.__setattr__(self, "field", check_integer("field", self.field, 0, MAX_FIELD))

    def window(self, channels: int, rows: Interval, columns: Interval) -> Tensor:
        """The values [channels, H, W], float32, of the cells in rows × columns, which may be < 0.

        Channel c does not depend on how many channels are drawn. Raises :class:`UsageError` for an
        empty window and for places beyond 2⁴⁰ cells from the origin.
        """
        (top, bottom), (left, right) = rows, columns
        far = max(abs(place) for place in (*rows, *columns))
        if bottom <= top or right <= left or channels < 1 or far > MAX_PLACE:
            raise UsageError(
                f"expected a window of at least 1×1 cells within ±2⁴⁰, got rows {rows}, "
                f"columns {columns}, {channels} channels"
            )

        # Every block that the window touches; of each, the cells that lie inside.
        values = np.empty((channels, bottom - top, right - left), np.float32)
        for by in range(top // BLOCK, -(-bottom // BLOCK)):
            for bx in range(left // BLOCK, -(-right // BLOCK)):
                block = self.block(channels, by, bx)
                y, x = by * BLOCK, bx * BLOCK
                y0, y1 = max(y, top), min(y + BLOCK, bottom)
                x0, x1 = max(x, left), min(x + BLOCK, right)
                inside = block[:, y0 - y : y1 - y, x0 - x : x1 - x]
                values[:, y0 - top : y1 - top, x0 - left : x1 - left] = inside
        return torch.from_numpy(values)

    def block(self, channels: int, row: int, column: int) -> np.ndarray:
        """The values [channels, 32, 32] of one block; Philox counts up channel after channel."""
        # The lower words of the counter count the bits within the block.
        counter = np.array([0, 0, row % 2**64, column % 2**64], np.uint64)
        key = np.array([self.seed, self.field], np.uint64)
        bits = np.random.Philox(key=key, counter=counter).random_raw(channels * BLOCK * BLOCK // 2)
        return normal_pairs(bits).reshape(channels, BLOCK, BLOCK)


def normal_pairs(bits: np.ndarray) -> np.ndarray:
    """2n independent N(0, 1) values, float32, from n words of 64 random bits (Box and Muller).

    Not numpy's own normal values: those may change with its version, while Philox's bits may not.
    """
    # Two uniform values of a word: u in (0, 1), never 0, and an angle.
    u = ((bits >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32
    angle = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) * (2 * math.pi * 2.0**-32)

    radius = np.sqrt(-2 * np.log(u))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).astype(np.float32)
