"""What the processor can do that torch does not decide by itself."""

from __future__ import annotations

import torch

# x86-64, then ARM
BFLOAT16 = ("avx512_bf16", "amx_bf16", "avx10_1", "avx_ne_convert", "bf16", "sve_bf16")


def lacks_bfloat16() -> bool:
    """Whether the processor has no bfloat16 instructions: convolutions in bfloat16 are very slow.

    False where this is unknown: torch before `torch.cpu.get_capabilities`.
    """
    ask = getattr(torch.cpu, "get_capabilities", None)
    return ask is not None and not any(ask().get(name) for name in BFLOAT16)
