"""Encodings on their way through a refinement, with the gradients that train it."""

from __future__ import annotations

import torch
from torch import Tensor

from invert.encoders.encoder import Encoder
from invert.encoders.encoding import Encoding
from invert.generator import Generator


def descend(
    generator: Generator, encoder: Encoder, encoding: Encoding, targets: Tensor
) -> tuple[Encoding, Tensor]:
    """The encoding after the last pass, and a loss for the passes before it.

    Slopes are constants: gradients reach every pass through the sum of all steps, and no second
    derivatives are needed. The distance after a pass is measured anyway, for the next pass needs
    its gradient; the loss has that gradient, and the value of the mean distance.
    """
    loss = torch.zeros((), device=targets.device)
    for k, (before, slope, after) in enumerate(encoder.passes(generator, encoding, targets)):
        if k:
            loss = loss + slope.distance.mean() + linear(slope.gradient, before) / len(targets)
        encoding = after
    return encoding, loss


def linear(gradient: Encoding, encoding: Encoding) -> Tensor:
    """Zero, with a given gradient with respect to an encoding."""
    pairs = zip(gradient, encoding, strict=True)
    products = [(g * (e - e.detach())).sum() for g, e in pairs if g is not None and e is not None]
    return torch.stack(products).sum()
