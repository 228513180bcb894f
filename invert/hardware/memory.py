"""The memory of a device: what is free, what work takes, and whether it has run out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


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


def free_bytes(device: torch.device) -> int | None:
    """Memory of a device that is free, or that torch holds and does not use; None where unknown."""
    module = memory_module(device)
    if module is None:
        return None
    free, _ = module.mem_get_info(device)
    return int(free + module.memory_reserved(device) - module.memory_allocated(device))


@contextmanager
def peak_bytes(device: torch.device) -> Iterator[list[int]]:
    """A list that has one number after the block: the most memory that it took at a time.

    For a device whose free memory is known.
    """
    module, peak = memory_module(device), list[int]()
    assert module is not None
    module.reset_peak_memory_stats(device)
    before = module.memory_allocated(device)
    yield peak
    peak.append(module.max_memory_allocated(device) - before)


def memory_module(device: torch.device) -> Any:
    """torch's module of a device that tells its memory, as torch.cuda does; None for others."""
    import torch

    module = None if device.type == "cpu" else torch.get_device_module(device)
    return module if hasattr(module, "mem_get_info") else None
