"""How far a training's samples are from its data: fd-vgg16, as a snapshot measures it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from invert.errors import UsageError
from invert.gan.training import GanTraining
from invert.metrics.moments import Moments, frechet_distance
from invert.metrics.perceptual import MINIMUM_SIDE
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
    """The Fréchet distance of VGG16 features of `count` samples and as many crops.

    Raises :class:`UsageError` for fewer than two, and for crops that are smaller than VGG16 takes.
    """

    def __init__(self, count: int, resolution: int, device: torch.device | str = "cpu") -> None:
        if count < 2:
            raise UsageError(f"a distance is measured on at least 2 samples, got {count}")
        if resolution < MINIMUM_SIDE:
            raise UsageError(
                f"fd-vgg16 is measured on crops of at least {MINIMUM_SIDE} px, got {resolution}; "
                f"train at --size {MINIMUM_SIDE} or more, or without --measure"
            )
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
