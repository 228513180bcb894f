"""How far a training's samples are from its data: fd-vgg16, as a snapshot measures it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from invert.gan.training import GanTraining
from invert.metrics.moments import Moments, frechet_distance
from invert.metrics.vgg16_features import load_vgg16_features, vgg16_moments

Measure = Callable[[GanTraining], Mapping[str, float]]
# Crops far from those that a training of fewer than a billion images has seen.
HELD_OUT = 2**40
SEED = 1
BATCH = 64


def no_measures(training: GanTraining) -> Mapping[str, float]:
    """Nothing."""
    return {}


class DistanceToData:
    """The Fréchet distance of VGG16 features of `count` samples and as many crops."""

    def __init__(self, count: int, device: torch.device | str = "cpu") -> None:
        self.count = count
        self.features = load_vgg16_features(device=device)
        self.data: Moments | None = None  # of the crops, which stay the same

    def __call__(self, training: GanTraining) -> Mapping[str, float]:
        """`fd_vgg16` of the averaged generator, and the `count` behind it."""
        if self.data is None:
            self.data = vgg16_moments(self.crops(training), self.features)
        samples = vgg16_moments(training.samples(self.count, SEED).split(BATCH), self.features)
        return {"fd_vgg16": frechet_distance(self.data, samples), "count": self.count}

    def crops(self, training: GanTraining) -> Iterator[Tensor]:
        """Batches of crops that are not trained on."""
        for start in range(0, self.count, BATCH):
            yield training.crops.batch(HELD_OUT + start, min(BATCH, self.count - start))
