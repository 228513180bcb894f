"""Whether an exception means that there was not enough memory."""

from __future__ import annotations

import sys


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, a GPU or torch's CPU allocator, which raises RuntimeError, got no memory."""
    torch = sys.modules.get("torch")  # not imported for this: without it the error is Python's
    gpu = torch is not None and isinstance(error, torch.OutOfMemoryError)
    cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return isinstance(error, MemoryError) or gpu or cpu


def free_memory() -> None:
    """Give back what the failed attempt held, before the next one."""
    import gc

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
