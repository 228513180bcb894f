"""What the processor can do that torch does not decide by itself."""

from __future__ import annotations

from collections.abc import Mapping

import torch

# x86-64, then ARM
BFLOAT16 = ("avx512_bf16", "amx_bf16", "avx10_1", "avx_ne_convert", "bf16", "sve_bf16")

# Those by which torch's convolutions in bfloat16 were found faster than in float32, and what
# implies them. On other processors with BFLOAT16 it is the user who says so.
FAST_BFLOAT16 = ("amx_bf16", "avx10_1")

# AVX512-BF16 alone makes them twice as fast on AMD's processors. On Intel's, which have it beside
# AMX unless a virtual machine hides that, perceptual networks become slower by two thirds.
FAST_WITH_AVX512 = "AMD"


def lacks_bfloat16() -> bool:
    """Whether the processor has no bfloat16 instructions: convolutions in bfloat16 are very slow.

    False where this is unknown: torch before `torch.cpu.get_capabilities`.
    """
    known = capabilities()
    return known is not None and not any(known.get(name) for name in BFLOAT16)


def is_faster_in_bfloat16() -> bool:
    """Whether the processor is known to convolve faster in bfloat16; False where it is unknown."""
    known = capabilities()
    if known is None:
        return False
    maker = str(known.get("cpu_name", ""))
    if known.get("avx512_bf16") and maker.startswith(FAST_WITH_AVX512):
        return True
    return any(known.get(name) for name in FAST_BFLOAT16)


def capabilities() -> Mapping[str, bool | int | str] | None:
    """What the processor is and can do, by name; None where torch does not tell."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    return None if ask is None else ask()
