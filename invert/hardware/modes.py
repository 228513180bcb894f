"""torch's modes that a caller may be in: no_grad, inference_mode, autocast, a default dtype.

They hold for all that is called within them, and the work here has modes of its own: a projection
takes gradients whatever the caller does, and what is saved is not in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor


@contextmanager
def default_modes() -> Iterator[None]:
    """Gradients are recorded, new tensors are ordinary ones, and nothing is in autocast.

    For work that takes gradients itself, and for results that outlive the caller's mode: a tensor
    of inference_mode never takes part in a backward pass. Tensors that come from the caller need
    :func:`ordinary`.
    """
    with torch.inference_mode(False), torch.enable_grad(), without_autocast():
        yield


@contextmanager
def without_autocast() -> Iterator[None]:
    """The caller's autocast does not reach into the block; one that begins inside is as usual."""
    accelerator = torch.accelerator.current_accelerator()
    kinds = ["cpu"] if accelerator is None else ["cpu", accelerator.type]
    with ExitStack() as stack:
        for kind in kinds:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def ordinary(t: Tensor) -> Tensor:
    """The tensor, or a copy of one made in inference_mode, which autograd could not save.

    To be called in :func:`default_modes`: a copy that is made in inference_mode is no better.
    """
    return t.clone() if t.is_inference() else t


@contextmanager
def float32_by_default() -> Iterator[None]:
    """New tensors are float32 where nothing else is said; the default belongs to the process.

    For weights that `torch.nn` draws: in another dtype they would be other numbers.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
