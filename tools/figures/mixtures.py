"""Two points mixed under a mask, in pixels and in their space, and how well each mixture hides it
(figure 4.1).

Edge, of a hard mask, and detail, of a soft one, are explained in `fig_4_1.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import torch
from seams import detail_ratio, step_ratio
from studio import Studio
from torch import Tensor

from edits.masks import feathered
from edits.mixer import mix

FEATHER = 0.35  # of the side: width of the soft mask's ramp
WHERE = ("right", "below")


def half(side: int, where: str) -> Tensor:
    """The mask [1, 1, side, side] that is 1 in the right or the lower half."""
    mask = torch.zeros(1, 1, side, side)
    middle = side // 2
    mask[..., middle:, :] = 1
    return mask if where == "below" else mask.transpose(2, 3)


def masks(side: int, where: str) -> tuple[Tensor, Tensor]:
    """The hard and the soft mask of a half."""
    hard = half(side, where)
    return hard, feathered(hard, FEATHER * side)


@dataclass
class Mixtures:
    """Mixtures of generated points of a space, and their numbers so far."""

    studio: Studio
    space: str
    psi: float = 0.7
    edges: dict[str, list[float]] = field(default_factory=dict)  # by what is mixed
    details: dict[str, list[float]] = field(default_factory=dict)

    def add(self, first: int, second: int, where: str) -> list[Tensor]:
        """The pictures of two seeds, then their mixtures under a hard and under a soft mask: in
        pixels, in the space.
        """
        generator = self.studio.generator
        x, y = (self.studio.opened(seed, self.space, psi=self.psi) for seed in (first, second))
        a, b = (generator.render(point).clamp(-1, 1) for point in (x, y))
        hard, soft = masks(generator.resolution, where)
        row = [a, b]
        for mask in (hard, soft):
            row += [
                torch.lerp(a, b, mask.expand_as(a)),
                generator.render(mix(generator, x, y, mask)),
            ]

        of_space = (self.space, row[3], row[5])
        for name, with_hard, with_soft in (("pixels", row[2], row[4]), of_space):
            self.edges.setdefault(name, []).append(step_ratio(with_hard, hard))
            self.details.setdefault(name, []).append(detail_ratio(with_soft, a, b, soft))
        return row

    def rows(self) -> list[dict[str, Any]]:
        """Means over all mixtures: a row for pixels, one for the space."""
        return [
            {
                "mixed in": name,
                "edge, hard mask": mean(self.edges[name]),
                "detail, soft mask": mean(self.details[name]),
            }
            for name in self.edges
        ]

    def __len__(self) -> int:
        return len(self.edges.get("pixels", ()))
