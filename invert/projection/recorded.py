"""Descents whose steps are recorded as CUDA graphs, for one batch of photographs after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor

from invert.hardware.graphs import StepGraphs, has_graphs
from invert.projection.best import Best
from invert.projection.descent import Descent
from invert.projection.step_inputs import StepInputs
from invert.projection.variables import Variables

T = TypeVar("T")


class RecordedDescent:
    """A descent, step by step as :class:`Descent` makes it, by graphs where they are recorded.

    Graphs read and write the memory of the descent that they were recorded with. So it stays, and
    another photograph's descent is loaded into it.
    """

    def __init__(self, descent: Descent) -> None:
        self.descent = descent
        self.graphs = StepGraphs(descent.rate.device)
        self.inputs: dict[Hashable, StepInputs] = {}
        self.outputs: dict[Hashable, tuple[Tensor, Tensor]] = {}

    @property
    def best(self) -> Best:
        """The best points so far."""
        return self.descent.best

    @property
    def variables(self) -> Variables:
        """The points now."""
        return self.descent.variables

    @torch.no_grad()
    def load(self, other: Descent) -> None:
        """Go on from where another descent of the same kind is."""
        for mine, theirs in zip(self.descent.state(), other.state(), strict=True):
            mine.copy_(theirs)
        self.best.early = None
        self.variables.points = other.variables.points

    def step(self, inputs: StepInputs, update: bool = True) -> tuple[Tensor, Tensor]:
        """Measures [N, columns] and images [N, 3, H, W], as :meth:`Descent.step` gives them."""
        # Steps are of one kind if they differ in the values of tensors only.
        kind = (mapped(inputs, lambda t: tuple(t.shape)), update)
        if kind not in self.inputs:
            self.inputs[kind] = mapped(inputs, Tensor.clone)
        fixed = self.inputs[kind]
        for mine, theirs in zip(tensors_of(fixed), tensors_of(inputs), strict=True):
            mine.copy_(theirs)

        self.graphs(kind, lambda: self.run(kind, fixed, update))
        row, image = self.outputs[kind]
        return row.clone(), image.clone()

    def run(self, kind: Hashable, inputs: StepInputs, update: bool) -> None:
        """One step from inputs to outputs that stay where they are."""
        results = self.descent.step(inputs, update)
        if kind not in self.outputs:  # not yet recorded: the first steps of a kind never are
            self.outputs[kind] = (torch.empty_like(results[0]), torch.empty_like(results[1]))
        for mine, result in zip(self.outputs[kind], results, strict=True):
            mine.copy_(result)


class Recordings:
    """The recorded descents of a run over many photographs, for as long as it lasts.

    A few kinds are kept: each holds the memory of a step, some GB for 1024 px images. So are the
    networks in half precision, since a recorded step runs the ones that it was recorded with.
    """

    KEPT = 2  # two stages; or a full batch and the last one

    def __init__(self) -> None:
        self.descents: dict[Hashable, RecordedDescent] = {}
        self.halves: dict[int, tuple[object, Any]] = {}  # by the id of a network, which is kept too

    def half(self, network: T, halve: Callable[[T], T]) -> T:
        """The network in half precision, made by `halve` the first time."""
        if id(network) not in self.halves:
            self.halves[id(network)] = network, halve(network)
        half: T = self.halves[id(network)][1]
        return half

    def begin(self, descent: Descent) -> Descent | RecordedDescent:
        """The descent, or where its device has graphs a recorded one that goes on from it."""
        if not descent.settings.graphs or not has_graphs(descent.rate.device):
            return descent

        # What a step depends on beside the values of its tensors.
        networks = descent.objective.networks
        parts = (networks.generator.network, networks.whole, networks.crop)
        shapes = tuple((tuple(t.shape), t.dtype) for t in descent.state())
        kind = (descent.settings, descent.variables.init.space, shapes, *map(id, parts))

        # The least recently used go first.
        recorded = self.descents.pop(kind, None)
        if recorded is None:
            recorded = RecordedDescent(descent)
        else:
            recorded.load(descent)
        self.descents[kind] = recorded
        while len(self.descents) > self.KEPT:
            del self.descents[next(iter(self.descents))]
        return recorded

    def clear(self) -> None:
        """Give all memory back, as where a batch was too large."""
        self.descents.clear()
        self.halves.clear()


def mapped(value: T, function: Callable[[Tensor], Any]) -> T:
    """A copy of inputs, which are data classes of tensors and others, with changed tensors."""
    if isinstance(value, Tensor):
        return function(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **{k: mapped(v, function) for k, v in fields.items()})
    return value


def tensors_of(value: object) -> list[Tensor]:
    """The tensors of inputs, in the order of their fields."""
    tensors: list[Tensor] = []
    mapped(value, tensors.append)
    return tensors
