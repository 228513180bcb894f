"""Adam for the images of a batch, each with a rate and a count of updates of its own.

D. P. Kingma and J. Ba, ICLR 2015, algorithm 1. On a CPU an update of one image is bit for bit that
of `torch.optim.Adam`, which has one rate and one count for a whole tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from invert.hardware.precision import numbers

EPSILON = 1e-8


@dataclass(frozen=True)
class Group:
    """Leaf tensors [N, …] that share a learning rate [N], one for each image."""

    tensors: Sequence[Tensor]
    rate: Tensor


class Adam:
    """Updates the tensors of its groups in place. Nothing here waits for the device.

    `updates` is the largest number of updates that will be made.
    """

    def __init__(self, groups: Sequence[Group], beta1: float, beta2: float, updates: int) -> None:
        self.groups = groups
        self.tensors = [t for group in groups for t in group.tensors]
        self.beta1, self.beta2 = beta1, beta2

        # m and v of algorithm 1, and t, the number of updates that they are means of.
        self.mean = [torch.zeros_like(t) for t in self.tensors]
        self.square = [torch.zeros_like(t) for t in self.tensors]
        first = self.tensors[0]
        self.count = torch.zeros(len(first), dtype=torch.int64, device=first.device)

        # 1 − β₁ᵗ and √(1 − β₂ᵗ) by t, until both are 1 for good.
        table = [(1.0, 1.0)]
        while len(table) <= updates and (len(table) == 1 or table[-1] != (1.0, 1.0)):
            t = len(table)
            table.append((1 - beta1**t, (1 - beta2**t) ** 0.5))
        self.corrections = numbers(table, first.device)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], factor: Tensor) -> None:
        """One update along `gradients`; `factor` [N] scales the rates of the groups."""
        self.count += 1
        index = self.count.clamp(max=len(self.corrections) - 1)
        correction1, correction2 = self.corrections.index_select(0, index).unbind(1)

        moments = zip(self.tensors, gradients, self.mean, self.square, strict=True)
        root2 = correction2.to(self.tensors[0].dtype)
        for group in self.groups:
            size = (group.rate * factor / -correction1).to(root2.dtype)
            for _ in group.tensors:
                t, g, m, v = next(moments)

                # Decayed means of the gradient and of its square.
                m.lerp_(g, 1 - self.beta1)
                v.mul_(self.beta2).addcmul_(g, g, value=1 - self.beta2)

                # θ ← θ − α / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
                root = v.sqrt().div_(over(t, root2)).add_(EPSILON)
                t.addcdiv_(m * over(t, size), root)

    def state(self) -> list[Tensor]:
        """All that an update reads but for the tensors, and all that it changes beside them."""
        return [*self.mean, *self.square, self.count, *(group.rate for group in self.groups)]

    @torch.no_grad()
    def forget(self, images: Tensor) -> None:
        """Begin anew where `images` [N] is true: zero moments, no updates made."""
        self.count.masked_fill_(images, 0)
        for moment in (*self.mean, *self.square):
            moment.masked_fill_(over(moment, images), 0)


def over(t: Tensor, values: Tensor) -> Tensor:
    """One value per image, [N], in a shape that goes with t [N, …]."""
    return values.view(-1, *[1] * (t.ndim - 1))
