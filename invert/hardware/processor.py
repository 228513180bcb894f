"""What the processor can do that torch does not decide by itself."""

from __future__ import annotations

import torch

# x86-64, then ARM
BFLOAT16 = ("avx512_bf16", "amx_bf16", "avx10_1", "avx_ne_convert", "bf16", "sve_bf16")


def lacks_bfloat16() -> bool:
    """Whether the processor is known to have no instructions for bfloat16, in which convolutions
    crawl.

    False where it cannot be asked: torch before `torch.cpu.get_capabilities`.
    """
    ask = getattr(torch.cpu, "get_capabilities", None)
    return ask is not None and not any(ask().get(name) for name in BFLOAT16)
