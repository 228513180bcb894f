"""How exactly a device computes: float64 where sums need it, no TF32 where results are kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from invert.hardware.modes import without_autocast

TF32, FLOAT32 = "tf32", "ieee"  # torch's names


def widened(t: Tensor) -> Tensor:
    """`t` in float64: where it lies, or on the CPU if it lies on a device without float64 (MPS)."""
    try:
        return t.double()
    except TypeError:
        return t.cpu().double()


def numbers(values: Sequence[float] | Sequence[Sequence[float]], device: torch.device) -> Tensor:
    """The values on the device, in float64, or in float32 where it has no float64 (MPS).

    The CPU does not wait until they are there.
    """
    exact = torch.tensor(values, dtype=torch.float64)
    try:
        return exact.to(device, non_blocking=True)
    except TypeError:
        return exact.float().to(device, non_blocking=True)


@contextmanager
def full_precision(wanted: bool = True) -> Iterator[None]:
    """Products and convolutions of float32 are exact to float32, if `wanted`; as before afterwards.

    By default CUDA rounds what a convolution reads to the 10 bits of TF32. That is faster, and good
    enough to follow gradients, but pictures differ by some thousandths from those of a CPU. So what
    is shown, saved or measured is computed in here. Nor does a caller's autocast reach it.
    """
    if not wanted:
        yield
        return
    with FLAGS.wish(FLOAT32), without_autocast():
        yield


@contextmanager
def fast_steps(*, rounding: bool = True, tune: bool = False) -> Iterator[None]:
    """Products and convolutions of float32 may be in TF32, if `rounding`; as before afterwards.

    For the steps of an optimization, whose results are computed again. Where :func:`full_precision`
    is in force, around it or in another thread, it stays in force.

    `tune` lets cuDNN time its kernels once per shape and take the fastest. That takes seconds, so
    it pays for many steps of few shapes only.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = tune or before
    try:
        with FLAGS.wish(TF32 if rounding else None):
            yield
    finally:
        torch.backends.cudnn.benchmark = before


@dataclass
class Flags:
    """torch's two flags of TF32, which belong to the process, under the wishes of all threads.

    While anyone wishes full precision there is full precision; else TF32 is on while anyone wishes
    that; and when the last wish has gone the flags are what they were before the first.
    """

    wishes: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def wish(self, precision: str | None) -> Iterator[None]:
        """One more wish within the block, or none."""
        if precision is None:
            yield
            return
        self.change(precision, self.wishes.append)
        try:
            yield
        finally:
            self.change(precision, self.wishes.remove)

    def change(self, precision: str, how: Any) -> None:
        """Add or take away a wish, and set the flags to what follows from those that are left."""
        backends: Any = torch.backends
        kinds = (backends.cuda.matmul, backends.cudnn.conv)
        with self.lock:
            if not self.wishes:
                self.before = [kind.fp32_precision for kind in kinds]
            how(precision)

            # What is exact already is left alone, under whatever name it is.
            for kind, before in zip(kinds, self.before, strict=True):
                flag = TF32 if TF32 in self.wishes else before
                if FLOAT32 in self.wishes and flag == TF32:
                    flag = FLOAT32 if before == TF32 else before
                if kind.fp32_precision != flag:
                    kind.fp32_precision = flag


FLAGS = Flags()  # of the process, as torch's are
