"""The best point that an optimization has met, for every image of a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from invert.projection.adam import over


class Best:
    """Copies of the tensors [N, …] at the step of each image's lowest fit; nothing waits for them.

    point   the tensors, at first as they are
    early   the same at the time of :meth:`keep_early`; None before
    step    [N], and `fit` [N], which is infinite until one is lower
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        first = tensors[0]
        self.point = [t.detach().clone() for t in tensors]
        self.early: list[Tensor] | None = None
        self.step = torch.zeros(len(first), dtype=torch.int64, device=first.device)
        self.fit = torch.full((len(first),), math.inf, dtype=first.dtype, device=first.device)

    def state(self) -> list[Tensor]:
        """The tensors that an update reads and changes."""
        return [*self.point, self.step, self.fit]

    @torch.no_grad()
    def update(self, tensors: Sequence[Tensor], step: Tensor, fit: Tensor, valid: Tensor) -> Tensor:
        """Take the points that are better and `valid` [N]; says which, [N]."""
        better = valid & (fit < self.fit)
        if not known_empty(better):
            self.fit.copy_(torch.where(better, fit, self.fit))
            self.step.copy_(torch.where(better, step, self.step))
            for t, best in zip(tensors, self.point, strict=True):
                best.copy_(torch.where(over(t, better), t, best))
        return better

    @torch.no_grad()
    def restore(self, tensors: Sequence[Tensor], images: Tensor) -> None:
        """Set the tensors to the best point where `images` [N] is true."""
        for t, best in zip(tensors, self.point, strict=True):
            t.copy_(torch.where(over(t, images), best, t))

    def forget_fit(self) -> None:
        """Let the next point be better than all before, which were compared otherwise."""
        self.fit.fill_(math.inf)

    def keep_early(self) -> None:
        """Keep the best points so far beside those to come."""
        self.early = [t.clone() for t in self.point]


def known_empty(mask: Tensor) -> bool:
    """Whether no value is true, if that is known: a CPU looks, any other device is not waited for.

    What is done under an empty mask changes nothing; it is only work.
    """
    return mask.device.type == "cpu" and not bool(mask.any())
