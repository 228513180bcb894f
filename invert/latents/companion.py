"""The companion of a point: the W+ styles that edits of its features are computed on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from invert.errors import LatentError


@dataclass(frozen=True, eq=False)
class Companion:
    """W+ styles whose features approximate the features F_i of a point; never rendered.

    F_i of a projection is a free map that no styles have made, so an edit of styles does not reach
    it. The edit is computed on the companion instead: it changes the features that the companion's
    styles make, and the same change is applied to F_i. Other methods also keep what an inversion
    cannot express beside a code that can be edited. StyleRes (arXiv:2212.14359) learns an encoder
    for this residual and a network that adapts it to the edit; here both come from optimization of
    the one photograph, without training, and the residual is warped by the optical flow of the
    companion's features. `invert.projection.companion` finds companions.

    styles   [N, num_ws, w_dim]; on a canvas larger than the training images [N, K, num_ws, w_dim],
             one for each of K windows
    windows  [N, K, 2]: (x, y) of each window's left upper cell of F_i; a window has the size of
             F_i at training. None where one companion stands for all of F_i
    origin   (companion styles, F_i) or (companion styles, F_i, R_i) before the first edit. An edit
             may damp the residual; as edits start from the origin, an edit back restores it. None
             before such an edit
    """

    styles: Tensor
    windows: Tensor | None = None
    origin: tuple[Tensor, ...] | None = None

    def __post_init__(self) -> None:
        check_types(self)
        styles, windows = self.styles, self.windows

        if windows is None and styles.ndim != 3:
            raise LatentError(
                "a companion is [N, num_ws, w_dim], or [N, K, num_ws, w_dim] with windows [N, K, 2]"
            )
        if windows is not None and (
            styles.ndim != 4 or windows.shape != (*styles.shape[:2], 2) or windows.numel() == 0
        ):
            raise LatentError(
                "companions are [N, K, num_ws, w_dim] with windows [N, K, 2], "
                f"got {list(styles.shape)} with {list(windows.shape)}"
            )

    def replace(self, **changes: Any) -> Companion:
        """A copy with some fields changed, checked again."""
        return dataclasses.replace(self, **changes)

    def map(self, function: Callable[[Tensor], Tensor]) -> Companion:
        """The companion with `function` applied to every tensor."""
        return Companion(
            function(self.styles),
            None if self.windows is None else function(self.windows),
            None if self.origin is None else tuple(function(t) for t in self.origin),
        )


def check_types(companion: Companion) -> None:
    """Raise :class:`LatentError` unless the parts are tensors, the origin a tuple of them."""
    tensors = [("companion", companion.styles)]
    if companion.windows is not None:
        tensors.append(("windows", companion.windows))
    if companion.origin is not None:
        if not isinstance(companion.origin, tuple):
            raise LatentError("a companion needs a tuple of tensors as origin, got one tensor")
        tensors += [("origin", t) for t in companion.origin]

    for name, value in tensors:
        if not isinstance(value, Tensor):
            raise LatentError(f"expected a tensor as {name}, got {type(value).__name__}")
