"""What an encoder finds in images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Encoding(NamedTuple):
    """F_i [N, C, H, W], R_i [N, 3, h, w] or None, and styles of all layers [N, num_ws, w_dim]."""

    features: Tensor
    rgb: Tensor | None
    styles: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Encoding:
        """The encoding with every tensor changed."""
        rgb = None if self.rgb is None else change(self.rgb)
        return Encoding(change(self.features), rgb, change(self.styles))

    def rows(self, part: slice) -> Encoding:
        """Some of the N."""
        return self.map(lambda t: t[part])

    def to(self, like: Tensor) -> Encoding:
        """On the device and in the precision of a tensor."""
        return self.map(lambda t: t.to(like))

    def plus(self, other: Encoding) -> Encoding:
        """The sum, part by part."""
        rgb = None if self.rgb is None or other.rgb is None else self.rgb + other.rgb
        return Encoding(self.features + other.features, rgb, self.styles + other.styles)
