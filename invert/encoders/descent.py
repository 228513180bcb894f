"""Encodings on their way through a refinement, with the gradients that train it."""

from __future__ import annotations

import torch
from torch import Tensor

from invert.encoders.encoder import Encoder
from invert.encoders.encoding import Encoding
from invert.encoders.slope import slope_at, slope_distance
from invert.generator import Generator


def descend(
    generator: Generator, encoder: Encoder, encoding: Encoding, targets: Tensor
) -> tuple[Encoding, Tensor]:
    """The encoding after the last pass, and a loss for the passes before it.

    No gradient flows from one pass into the one before: each learns to come nearer at once. The
    distance after a pass is measured anyway, for the next pass needs its gradient; the loss has
    that gradient, and the value of the mean distance.
    """
    assert encoder.refinement is not None
    distance = slope_distance(generator.device, generator.dtype)
    loss = torch.zeros((), device=targets.device)

    for k in range(encoder.refinement.passes):
        slope = slope_at(generator, encoder.shape.layer, encoding, targets, distance)
        if k:
            loss = loss + slope.distance.mean() + linear(slope.gradient, encoding) / len(targets)
        start = encoding.map(Tensor.detach)
        encoding = encoder.refinement(k, start, slope, encoder.feature_mean, encoder.feature_std)
    return encoding, loss


def linear(gradient: Encoding, encoding: Encoding) -> Tensor:
    """Zero, with a given gradient with respect to an encoding."""
    pairs = zip(gradient, encoding, strict=True)
    products = [(g * (e - e.detach())).sum() for g, e in pairs if g is not None and e is not None]
    return torch.stack(products).sum()
