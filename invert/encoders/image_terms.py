"""How far images are from what they should show: the terms that need no point.

They are functions of a rendering, whatever made what was rendered.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.metrics.perceptual import PerceptualDistance


class ImageTerms:
    """The squared error, and perceptual distances, each a mean over the images of a batch."""

    def __init__(self, distances: Iterable[PerceptualDistance], *, half: bool = False) -> None:
        self.distances = [d.halved() if half else d for d in distances]

    def __call__(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Name → mean over N, from images and targets [N, 3, h, w]."""
        terms = {"mse": F.mse_loss(images, targets)}
        for distance in self.distances:
            terms[distance.name] = distance(images, targets).mean().to(images.dtype)
        return terms


def total(terms: dict[str, Tensor]) -> Tensor:
    """Their sum, of the weights 1."""
    return torch.stack(list(terms.values())).sum()
