"""Steps that are always the same as one CUDA graph each: one launch in place of some thousands.

A step of a projection at batch 1 is a few thousand small kernels, which a GPU computes faster than
Python launches them. A graph records them once, with their addresses, and launches all at once.

Graphs, and not `torch.compile(mode="reduce-overhead")`, which records graphs too: compiling takes
minutes at 1024 px, needs a C compiler and Triton on the user's machine, and its fused kernels round
otherwise than those that a test on a CPU has seen. A recorded step computes what the step does.
`benchmarks/device.py` measures both.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from typing import Any

import torch

from invert.hardware.memory import is_out_of_memory

# Calls of a kind before it is recorded: libraries choose kernels and workspaces in the first ones.
WARMUP = 2


class GraphWarning(UserWarning):
    """A step could not be recorded as a graph, and runs launch by launch."""


class StepGraphs:
    """Runs steps on a device: each kind at first as it is, then recorded, then replayed.

        graphs = StepGraphs(device)
        for k in range(200):
            graphs(("crop", scale), step)  # the third call of a kind records `step`

    The first calls of a kind are ordinary steps whose results count, so nothing has to be set back.
    After them the kind is recorded, and `step` is never called again for it: its kernels run on the
    same memory as when they were recorded. So a step

    * reads and writes tensors of the device that stay where they are, and changes them in place:
      new photographs and new points are copied into them; numbers of Python, tensors of the CPU and
      all branches are frozen when it is recorded, unless the key of the kind tells them apart;
    * has the same shapes in all calls of a kind;
    * never waits: no `item`, no `nonzero` or mask as index, no copy from or to the CPU;
    * returns nothing, and leaves nothing in tensors that it made: the graphs share their memory.

    `tests/simulated_graphs.py` checks these rules without a GPU.

    On a CPU, and on a device that has no graphs or with `enabled=False`, every call just runs the
    step. Where recording fails, a :class:`GraphWarning` says why, and every kind runs as it is.
    """

    def __init__(self, device: torch.device | str, *, enabled: bool = True) -> None:
        self.device = torch.device(device)
        self.module: Any = torch.get_device_module(self.device)  # torch.cuda, for one
        self.enabled = enabled and has_graphs(self.device)
        self.calls: dict[Hashable, int] = {}
        self.recorded: dict[Hashable, Any] = {}

        # One stream for all that graphs do. Autograd and the libraries remember the stream on which
        # they first saw a tensor or a product, and cannot change to another while one is recorded.
        if self.enabled:
            with self.on_device():
                self.stream = self.module.Stream()
                self.pool = self.module.graph_pool_handle()

    def __call__(self, kind: Hashable, step: Callable[[], object]) -> None:
        """One step of this kind, by whatever way it is at."""
        if not self.enabled:
            step()
            return

        # The stream begins after what is under way on the caller's, which then waits for it.
        with self.on_device():
            caller = self.module.current_stream()
            self.stream.wait_stream(caller)
            try:
                with self.module.stream(self.stream):
                    self.run(kind, step)
            finally:
                caller.wait_stream(self.stream)

    def run(self, kind: Hashable, step: Callable[[], object]) -> None:
        """The step as it is, or by its graph, which is recorded when it has run often enough."""
        if kind not in self.recorded:
            calls = self.calls[kind] = self.calls.get(kind, 0) + 1
            if calls <= WARMUP or not self.record(kind, step):
                step()
                return
        self.recorded[kind].replay()

    def record(self, kind: Hashable, step: Callable[[], object]) -> bool:
        """Record the step without running it; False where that fails, and there will be no graph.

        Memory that runs out is not a failure of recording: the caller may try a smaller batch.
        """
        graph = self.module.CUDAGraph()
        try:
            with self.module.graph(graph, pool=self.pool, stream=self.stream):
                step()
        except Exception as error:
            if is_out_of_memory(error) or not isinstance(error, RuntimeError):
                raise

            # No graph can be had: all further steps run as they are.
            self.enabled = False
            self.recorded.clear()
            warnings.warn(
                f"steps cannot be recorded as a graph on {self.device} ({first_cause(error)}); "
                "they run launch by launch, which is slower",
                GraphWarning,
                stacklevel=2,
            )
            return False

        self.recorded[kind] = graph
        return True

    def on_device(self) -> Any:
        """The context in which streams and graphs are those of this device."""
        return self.module.device(self.device)


def has_graphs(device: torch.device) -> bool:
    """Whether steps can be recorded on a device: CUDA has graphs, a CPU and MPS have none."""
    return hasattr(torch.get_device_module(device), "CUDAGraph")


def first_cause(error: BaseException) -> str:
    """What began it, in a line: the end of a recording that failed raises an error of its own."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error) or type(error).__name__).splitlines()[0]
