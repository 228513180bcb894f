"""The steps of an optimization, as the host learns of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from invert.projection.settings import ProjectionSettings

Stage = Literal["init", "project"]  # "init": the first of two stages
StopReason = Literal["steps", "patience", "interrupted", "diverged"]

# What a row of measures holds, and the numbers in it for the reasons to stop.
COLUMNS = ("loss", "perceptual", "mse", "rate", "valid", "stop")
STOPS: dict[int, StopReason] = {1: "diverged", 2: "patience"}


@dataclass(frozen=True)
class Step:
    """The measures of one step, before its update."""

    stage: Stage
    step: int  # updates made so far
    steps: int
    loss: float  # with every regularizer
    perceptual: float
    mse: float
    lr: float
    seconds: float  # since the stage began, until the host knew
    index: int = 0  # of the image in its batch
    # [1, 3, H, W]; histories leave it out
    image: Tensor | None = field(default=None, repr=False, compare=False)


class History:
    """The steps of every image of a batch; rows stay on the device until they are read.

    steps  of each image, in order, without those whose loss was not finite
    stops  why each image stopped before the last step; None where it has not
    """

    def __init__(self, stage: Stage, settings: ProjectionSettings, images: int) -> None:
        self.stage = stage
        self.settings = settings
        self.steps: list[list[Step]] = [[] for _ in range(images)]
        self.stops: list[StopReason | None] = [None] * images
        self.begin = time.perf_counter()
        self._unread: list[tuple[int, Tensor, Tensor | None]] = []

    def append(self, step: int, row: Tensor, image: Tensor | None = None) -> None:
        """Note the measures [N, columns] of a step, and its images [N, 3, H, W] if they matter."""
        self._unread.append((step, row, image))

    def read(self) -> list[Step]:
        """The steps since the last call, with their images; waits until the device made them."""
        if not self._unread:
            return []
        unread, self._unread = self._unread, []
        rows = torch.stack([row for _, row, _ in unread]).tolist()  # the one place that waits
        seconds = time.perf_counter() - self.begin

        steps = []
        for (number, _, image), values in zip(unread, rows, strict=True):
            for k, row in enumerate(values):
                measures = dict(zip(COLUMNS, row, strict=True))
                if measures["valid"]:
                    step = self.step(number, k, measures, seconds)
                    self.steps[k].append(step)
                    steps.append(step if image is None else replace(step, image=image[k : k + 1]))
                self.stops[k] = self.stops[k] or STOPS.get(int(measures["stop"]))
        return steps

    def step(self, number: int, index: int, measures: dict[str, float], seconds: float) -> Step:
        """The entry of one image."""
        return Step(
            self.stage,
            number,
            self.settings.steps,
            measures["loss"],
            measures["perceptual"],
            measures["mse"],
            self.settings.lr * measures["rate"],
            seconds,
            index,
        )

    @property
    def over(self) -> bool:
        """Whether every image has stopped."""
        return None not in self.stops
