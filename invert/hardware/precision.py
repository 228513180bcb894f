"""How exactly a device computes: float64 where sums need it, no TF32 where results are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

TF32, FLOAT32 = "tf32", "ieee"  # torch's names


def widened(t: Tensor) -> Tensor:
    """`t` in float64: where it lies, or on the CPU if it lies on a device without float64 (MPS)."""
    try:
        return t.double()
    except TypeError:
        return t.cpu().double()


@contextmanager
def full_precision(wanted: bool = True) -> Iterator[None]:
    """Products and convolutions of float32 are exact to float32, if `wanted`; as before afterwards.

    By default CUDA rounds what a convolution reads to the 10 bits of TF32. That is faster, and good
    enough to follow gradients, but pictures differ by some thousandths from those of a CPU. So what
    is shown, saved or measured is computed in here.
    """
    backends: Any = torch.backends
    kinds = (backends.cuda.matmul, backends.cudnn.conv)
    rounding = [kind for kind in kinds if wanted and kind.fp32_precision == TF32]
    try:
        for kind in rounding:
            kind.fp32_precision = FLOAT32
        yield
    finally:
        for kind in rounding:
            kind.fp32_precision = TF32
