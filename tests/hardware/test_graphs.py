"""A step that is recorded computes what it computes launch by launch, and waits for nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from simulated_device import DEVICE, simulated_device
from simulated_graphs import GRAPHS
from torch import Tensor

from invert.hardware.graphs import WARMUP, GraphWarning, StepGraphs


@pytest.fixture
def device() -> Iterator[torch.device]:
    with simulated_device() as device:
        GRAPHS.recorded = GRAPHS.replays = 0
        yield device


class Descent:
    """A toy of a projection: x follows a target by gradient, and the best x is kept."""

    def __init__(self, device: torch.device | str) -> None:
        self.weight = normal(0, 6, 4).to(device)
        self.target = torch.zeros(2, 4, device=device)
        self.x = torch.zeros(2, 6, device=device, requires_grad=True)
        self.rate = torch.zeros((), device=device)
        self.best = torch.zeros(2, 6, device=device)
        self.lowest = torch.full((2,), torch.inf, device=device)

    def begin(self, target: Tensor) -> None:
        """A new photograph, in the tensors of the last."""
        with torch.no_grad():
            self.target.copy_(target)
            for t in (self.x, self.best):
                t.zero_()
            self.lowest.fill_(torch.inf)

    def step(self) -> None:
        losses = (torch.tanh(self.x @ self.weight) - self.target).square().mean(1)
        (grad,) = torch.autograd.grad(losses.sum(), [self.x])
        with torch.no_grad():
            better = losses < self.lowest
            self.lowest.copy_(torch.where(better, losses, self.lowest))
            self.best.copy_(torch.where(better[:, None], self.x, self.best))
            self.x.sub_(self.rate * grad)

    def run(self, graphs: StepGraphs, target: Tensor, steps: int = 7) -> Tensor:
        self.begin(target)
        for k in range(steps):
            self.rate.copy_(torch.tensor(1 / (k + 1)))
            graphs("step", self.step)
        return torch.cat([self.best, self.x.detach(), self.lowest[:, None]], 1).cpu()


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_steps_by_a_graph_are_the_steps_and_it_serves_the_next_photograph(
    device: torch.device,
) -> None:
    toy, graphs = Descent(device), StepGraphs(device)
    plain, eager = Descent("cpu"), StepGraphs("cpu")
    for seed in (1, 2, 3):
        target = normal(seed, 2, 4)
        assert torch.equal(toy.run(graphs, target), plain.run(eager, target))
    assert (GRAPHS.recorded, GRAPHS.replays) == (1, 3 * 7 - WARMUP)


def test_each_kind_of_step_has_its_own_graph(device: torch.device) -> None:
    sums = torch.zeros(3, device=device)
    graphs = StepGraphs(device)

    def step(width: int) -> Callable[[], object]:
        return lambda: sums[:width].add_(1)

    for width in (1, 2, 3, 1, 2, 3, 1, 2, 3, 3, 3):
        graphs(width, step(width))
    assert sums.tolist() == [11, 8, 5]
    assert GRAPHS.recorded == 3


def test_a_graph_freezes_what_is_not_in_its_tensors(device: torch.device) -> None:
    x, graphs = torch.zeros(1, device=device), StepGraphs(device)
    for k in range(WARMUP + 3):
        graphs("k", lambda k=k: x.add_(k))  # type: ignore[misc]
    assert x.tolist() == [sum(range(WARMUP)) + 3 * WARMUP]

    x.zero_()
    number = torch.zeros(())  # of the CPU
    for k in range(WARMUP + 3):
        number.fill_(k)
        graphs("number", lambda: x.add_(number))
    assert x.tolist() == [sum(range(WARMUP)) + 3 * WARMUP]


def test_memory_of_a_graph_is_not_to_be_read_afterwards(device: torch.device) -> None:
    x, graphs, made = torch.ones(2, device=device), StepGraphs(device), []
    for _ in range(WARMUP + 1):
        graphs("made", lambda: made.append(x * 2))
    assert made[0].tolist() == [2, 2]
    assert made[-1].isnan().all()


FORBIDDEN: dict[str, Callable[[Tensor], object]] = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "a branch": lambda x: x if x.sum() > 0 else -x,
    "cpu": lambda x: x.cpu(),
    "tolist": lambda x: x.tolist(),
    "nonzero": lambda x: x.nonzero(),
    "a mask": lambda x: x[x > 0],
    "writing under a mask": lambda x: x.index_put_((x > 0,), x[0]),
    "equal": lambda x: torch.equal(x, x),
    "a copy from the CPU": lambda x: x.copy_(torch.ones(3)),
    "a tensor of numbers": lambda x: x.add_(torch.tensor([1.0, 2.0, 3.0], device=x.device)),
    "indices of the CPU": lambda x: x[torch.tensor([0, 1])],
    "a list as index": lambda x: x[[0, 2]],
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_cannot_be_recorded_is_told_and_runs_as_it_is(name: str, device: torch.device) -> None:
    x, count, graphs = torch.ones(3, device=device), torch.zeros(1, device=device), None
    graphs = StepGraphs(device)

    def step() -> None:
        count.add_(1)
        FORBIDDEN[name](x)

    for _ in range(WARMUP):
        graphs("step", step)
    with pytest.warns(GraphWarning, match=r"launch by launch") as told:
        graphs("step", step)
    assert "not permitted when stream is capturing" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graphs("step", step)
        graphs("another", step)
    assert count.tolist() == [WARMUP + 3]
    assert GRAPHS.recording is None
    assert GRAPHS.stream is GRAPHS.default


def test_memory_that_runs_out_while_recording_is_raised(device: torch.device) -> None:
    graphs = StepGraphs(device)
    full: list[int] = []

    def step() -> None:
        full.append(0)
        if len(full) > WARMUP:
            raise torch.OutOfMemoryError("no memory")

    for _ in range(WARMUP):
        graphs("step", step)
    with pytest.raises(torch.OutOfMemoryError):
        graphs("step", step)
    assert graphs.enabled


def test_a_cpu_and_a_caller_who_wants_none_have_no_graphs(device: torch.device) -> None:
    runs: list[str] = []
    for graphs in (StepGraphs("cpu"), StepGraphs(device, enabled=False)):
        for _ in range(WARMUP + 2):
            graphs("step", lambda: runs.append("run"))
    assert len(runs) == 2 * (WARMUP + 2)
    assert not GRAPHS.recorded


def test_a_gpu_has_all_that_graphs_need() -> None:
    names = ("CUDAGraph", "graph", "graph_pool_handle", "Stream", "stream", "device")
    assert all(hasattr(torch.cuda, name) for name in (*names, "current_stream"))
    assert all(hasattr(DEVICE, name) for name in names)
    assert not hasattr(torch.cpu, "CUDAGraph")
