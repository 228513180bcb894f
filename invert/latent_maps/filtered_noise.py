"""What every distribution of F_i is here: a filter of white noise, of one law at any size.

[S] chapter 8 samples F_i instead of learning it. As a filter of finite reach, a distribution can be
drawn at any size, and a window of an infinite map can be drawn alone: from the window's noise and a
margin around it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from invert.arguments import check_integer

MAX_CHANNELS = 4096


@dataclass(frozen=True)
class LatentMap(ABC):
    """A distribution of maps [N, channels, H, W]: mean 0 and variance 1 at every value.

    Channels are independent of one another, and so are places that are more than 2 · `margin` cells
    apart. The fields are all that a checkpoint needs to know of it.
    """

    channels: int

    kind: ClassVar[str]  # in files and on the command line

    def __post_init__(self) -> None:
        check_integer("channels", self.channels, 1, MAX_CHANNELS)

    @property
    def margin(self) -> int:
        """Cells of noise that the filter needs on each side of the map."""
        return 0

    @property
    def noise_channels(self) -> int:
        """Channels of white noise that the filter turns into `channels`."""
        return self.channels

    @abstractmethod
    def filter(self, noise: Tensor) -> Tensor:
        """The map [N, channels, H, W] of white noise N(0, 1).

        The noise is [N, noise_channels, H + 2 · margin, W + 2 · margin].
        """

    def sample(self, count: int, cells: tuple[int, int], random: torch.Generator) -> Tensor:
        """Maps [count, channels, *cells], on the device of `random`."""
        height, width = (side + 2 * self.margin for side in cells)
        shape = (count, self.noise_channels, height, width)
        noise = torch.randn(shape, generator=random, device=random.device, dtype=torch.float32)
        return self.filter(noise)

    def rising(self, first: float, last: float) -> Tensor:
        """A value per channel [C], rising linearly; `last` where there is one channel."""
        return (
            torch.linspace(first, last, self.channels, dtype=torch.float32)
            if self.channels > 1
            else torch.tensor([last], dtype=torch.float32)
        )

    def config(self) -> dict[str, Any]:
        """The kind and the fields, as checkpoints hold them."""
        fields = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"kind": self.kind, **fields}


@dataclass(frozen=True)
class NormalMap(LatentMap):
    """N(0, 1) at every value: neighbours are as independent as distant places."""

    kind = "normal"

    def filter(self, noise: Tensor) -> Tensor:
        """The noise itself."""
        return noise
