"""Memory of freed tensors that stays with the process, for faster steps on a CPU with glibc."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # <malloc.h> of glibc
LARGEST = 2**31 - 1  # bytes; the parameters are C ints
LARGEST_OF_OLD_GLIBC = 32 * 2**20  # bytes; versions that limit the mmap threshold refuse more


def keep_large_blocks() -> bool:
    """Tell glibc to keep large freed blocks for the next tensor; False where there is no glibc.

    By default every tensor above 32 MiB (at first 128 KiB) is mapped afresh from the kernel and
    unmapped when freed, so each layer of each step pays for zeroed pages again. Forward and
    backward of a 1024 px StyleGAN2 became 2.4 times as fast on two cores
    (`benchmarks/synthesis.py`). In return the process keeps its peak memory until it ends, and
    needs somewhat more of it: a few steps pass until the free blocks fit the tensors.

    Call it before the first tensor: blocks that are mapped already stay mapped one by one. It
    changes the whole process, so it is for programs to call; importing the library does not.
    Calling it again is harmless.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl and macOS; a static program; Windows
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    # In this order: setting either ends glibc's own tuning, and a trim threshold alone would leave
    # the mmap
    # threshold at its initial 128 KiB, which is worse than doing nothing.
    kept = any(mallopt(M_MMAP_THRESHOLD, size) for size in (LARGEST, LARGEST_OF_OLD_GLIBC))
    return bool(kept and mallopt(M_TRIM_THRESHOLD, LARGEST))
