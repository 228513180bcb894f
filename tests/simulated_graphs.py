"""CUDA graphs of the simulated device: recorded without being run, replayed on the same memory.

What CUDA does not record is refused as CUDA refuses it: reading a number, a mask as an index, a
copy between the CPU and the device. What CUDA records and gets wrong goes wrong here too: a number
of Python and a branch keep the value that they had, and memory of the graph that is read after a
replay holds NaN, as if another graph of the pool had used it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

NOT_PERMITTED = "operation not permitted when stream is capturing"


class SimStream:
    """A stream: there is one queue here, so it only has an identity."""

    def wait_stream(self, other: SimStream) -> None:
        GRAPHS.refuse("wait_stream")


class Graphs:
    """What is under way."""

    def __init__(self) -> None:
        self.default = self.stream = SimStream()
        self.recording: Recording | None = None
        self.recorded = 0  # graphs, ever
        self.replays = 0

    def refuse(self, what: str) -> None:
        """Raise RuntimeError, in CUDA's words, while a graph is being recorded."""
        if self.recording is not None:
            raise RuntimeError(f"CUDA error: {NOT_PERMITTED} ({what})")


class Recording:
    """The operations of a graph, with the memories of their tensors."""

    def __init__(self) -> None:
        self.operations: list[tuple[Any, Sequence[Any], Mapping[str, Any], list[Tensor]]] = []
        self.made: dict[int, Tensor] = {}  # memory that the graph allocated, by address
        self.found: dict[int, tuple[Tensor, Tensor]] = {}  # the other, and what was in it

    def run(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The operation's result, of the right shape; what it changes is set back at the end."""
        inputs = tensors_in((args, kwargs))
        for t in inputs:
            if t.untyped_storage().data_ptr() not in self.made:
                self.found.setdefault(t.untyped_storage().data_ptr(), (whole(t), whole(t).clone()))
        result = func(*args, **kwargs)

        # New memory is the graph's; views and what was written into are known already.
        known = {t.untyped_storage().data_ptr() for t in inputs}
        fresh = [t for t in tensors_in(result) if t.untyped_storage().data_ptr() not in known]
        self.made |= {t.untyped_storage().data_ptr(): t for t in fresh}
        self.operations.append((func, args, kwargs, fresh))
        return result

    def finish(self) -> None:
        """Nothing has run: memory from before holds what it held."""
        with torch.inference_mode():
            for memory, before in self.found.values():
                memory.copy_(before)
        self.found.clear()
        self.spoil()

    def replay(self) -> None:
        """Every operation again, on the memories that it had."""
        with torch.inference_mode(), _disable_current_modes():  # not called by Python
            for func, args, kwargs, fresh in self.operations:
                known = {t.untyped_storage().data_ptr() for t in tensors_in((args, kwargs))}
                again = [
                    t
                    for t in tensors_in(func(*args, **kwargs))
                    if t.untyped_storage().data_ptr() not in known
                ]
                for memory, value in zip(fresh, again, strict=True):
                    memory.copy_(value)
            self.spoil()

    def spoil(self) -> None:
        """The graph's own memory may be another's now."""
        for t in self.made.values():
            if t.is_floating_point():
                whole(t).fill_(float("nan"))


def whole(t: Tensor) -> Tensor:
    """All of a tensor's storage, flat."""
    storage = t.untyped_storage()
    return torch.empty(0, dtype=t.dtype).set_(
        storage,
        0,
        (storage.nbytes() // t.element_size(),),  # type: ignore[arg-type]
    )


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors in nested lists and dictionaries."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in tensors_in(v)]
    return []


GRAPHS = Graphs()


class SimGraph:
    """torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        self.recording: Recording | None = None

    def replay(self) -> None:
        assert self.recording is not None, "replayed before it was recorded"
        GRAPHS.refuse("replay")
        GRAPHS.replays += 1
        self.recording.replay()


@contextmanager
def stream(stream: SimStream) -> Iterator[None]:
    """torch.cuda.stream."""
    before, GRAPHS.stream = GRAPHS.stream, stream
    try:
        yield
    finally:
        GRAPHS.stream = before


@contextmanager
def graph(graph: SimGraph, pool: object = None, stream: SimStream | None = None) -> Iterator[None]:
    """torch.cuda.graph. As on a GPU, the default stream cannot be recorded."""
    assert stream is not None
    assert stream is not GRAPHS.default, "cannot capture on the default stream"
    recording = GRAPHS.recording = Recording()
    try:
        yield
    finally:
        GRAPHS.recording = None
        with torch.no_grad():
            recording.finish()
    graph.recording = recording
    GRAPHS.recorded += 1
