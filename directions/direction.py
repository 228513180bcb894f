"""A direction in W or W+: unit vectors, σ along them, and what it means."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from directions.w_space import w_space_name
from invert.arguments import check_number, plain, scalar
from invert.errors import FingerprintError, UsageError
from invert.latents.layer_ranges import StyleRange, check_range

if TYPE_CHECKING:
    from invert.generator import Generator

MAX_STRENGTH = 100.0  # in σ; generated latents end near 4
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
NORM_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Direction:
    """Where an attribute increases in W or W+: s·σ·v is added to the styles.

    Immutable, and checked on construction (:class:`UsageError`).

    name      what a user types
    vectors   v [w_dim] for all styles, of unit norm; or V [num_ws, w_dim] with one row per style,
              of Frobenius norm √num_ws, so that equal rows are the same direction as the one
              vector; kept on the CPU
    sigma     σ, the standard deviation of W along the direction (`WSpace.std_along`): the unit of
              strength; strength s adds s·σ·V_j to style j of a point
    meaning   what more of it is, to be read after "+ is"
    w_space   name of the W space it belongs to (`WSpace.name`); "" where nobody knows
    styles    half-open range of 0-based style indices it acts on by default; None is all
    source    how it was made and from what; JSON values
    measured  what was measured about it; JSON values
    """

    name: str
    vectors: Tensor
    sigma: float
    meaning: str = ""
    w_space: str = ""
    styles: StyleRange | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Numbers of numpy and torch become Python's: directions are written to files.
        object.__setattr__(self, "vectors", self.vectors.detach().cpu())
        object.__setattr__(self, "sigma", scalar(self.sigma))
        if self.styles is not None:
            object.__setattr__(self, "styles", check_range(self.styles))
        for name in ("source", "measured"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        check(self)

    @property
    def w_dim(self) -> int:
        """Number of components of a style."""
        return self.vectors.shape[-1]

    def offset(self, num_ws: int, strength: float, styles: StyleRange | None = None) -> Tensor:
        """The offset [num_ws, w_dim] of `strength` σ, which is zero outside the range of styles.

        `styles` replaces the direction's own range. Raises :class:`UsageError` for a strength
        beyond ±100 or a range outside the generator's or the direction's styles.
        """
        try:
            check_number("strength", strength, -MAX_STRENGTH, MAX_STRENGTH)
        except UsageError:
            raise UsageError(
                f"strength is {strength!r} σ, expected a number within ±{MAX_STRENGTH:g}"
            ) from None
        first, stop = self.style_range(num_ws, styles)
        rows = self.vectors if self.vectors.ndim == 1 else self.vectors[first:stop]

        # s·σ·V_j for first <= j < stop.
        offset = torch.zeros(num_ws, self.w_dim, dtype=torch.float32)
        offset[first:stop] = strength * self.sigma * rows
        return offset

    def style_range(self, num_ws: int, styles: StyleRange | None = None) -> StyleRange:
        """The half-open range of styles that it moves in a generator of `num_ws` styles.

        Raises :class:`UsageError` where the range ends outside, and where the direction has rows
        for another number of styles and no range says which.
        """
        rows = num_ws if self.vectors.ndim == 1 else self.vectors.shape[0]
        chosen = self.styles if styles is None else check_range(styles)
        if chosen is None and rows != num_ws:
            raise UsageError(
                f"direction {self.name!r} has {rows} styles, the generator {num_ws}; styles are "
                f"counted from the coarse end, give a range within the first {min(rows, num_ws)}"
            )

        first, stop = chosen or (0, num_ws)
        if not 0 <= first < stop <= min(rows, num_ws):
            raise UsageError(
                f"styles {first} to {stop - 1} of direction {self.name!r}: expected a range within "
                f"0 to {min(rows, num_ws) - 1}, both included"
            )
        return first, stop

    def check_generator(self, generator: Generator) -> None:
        """Raise :class:`FingerprintError` unless the direction is one of the generator's W space.

        An unknown W space ("") passes when the width is right; `directions.diagnostics` measures
        whether the direction does anything there.
        """
        title = generator.name or "this generator"
        if self.w_dim != generator.w_dim:
            raise FingerprintError(
                f"direction {self.name!r} is {self.w_dim} wide, expected w_dim {generator.w_dim} "
                f"of {title}; "
                "use a direction made for it"
            )
        if self.w_space and self.w_space != (found := w_space_name(generator)):
            raise FingerprintError(
                f"direction {self.name!r} belongs to W space {self.w_space}, {title} has {found}; "
                "use a direction made for it"
            )


def unit(vectors: Tensor) -> Tensor:
    """Float32 `vectors` scaled to the norm that a direction has.

    Raises :class:`UsageError` for zero, NaN and infinity.
    """
    if vectors.ndim not in (1, 2) or not vectors.numel():
        raise UsageError(
            f"expected a vector [w_dim] or one per layer [num_ws, w_dim], got {list(vectors.shape)}"
        )
    vectors = vectors.detach().cpu().double()
    if not bool(vectors.isfinite().all()):
        raise UsageError("a direction must be finite, this one has NaN or infinity")
    largest = vectors.abs().max()
    if largest == 0:
        raise UsageError("a direction must not be zero")

    # The largest value first: squares of float64 overflow, too.
    vectors = vectors / largest
    return (vectors / root_mean_square_norm(vectors)).float()


def root_mean_square_norm(vectors: Tensor) -> float:
    """Norm of [w_dim]; root mean square of the row norms of [num_ws, w_dim]."""
    return vectors.double().square().sum(-1).mean().sqrt().item()


def sign_fixed(vector: Tensor) -> Tensor:
    """v or −v, whichever has its largest component positive: a sign for an eigenvector."""
    return vector * torch.sign(vector.flatten()[vector.abs().argmax()])


def check(direction: Direction) -> None:
    """Raise :class:`UsageError` unless the fields of a direction make sense."""
    # The texts.
    name = direction.name
    for part in ("name", "meaning", "w_space"):
        if not isinstance(text := getattr(direction, part), str):
            raise UsageError(f"direction {name!r}: {part} is a text, got {text!r}")
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a direction; use letters, digits, - and _, at most 64"
        )

    # The vectors, and what belongs to them.
    check_vectors(name, direction.vectors)
    sigma: Any = direction.sigma
    if type(sigma) not in (int, float) or not (math.isfinite(sigma) and sigma > 0):
        raise UsageError(f"direction {name!r} has sigma {sigma!r}, expected a positive number")
    if direction.styles is not None:
        check_styles(name, direction.styles, direction.vectors)

    # What goes into the file as JSON.
    for part in ("source", "measured"):
        try:
            json.dumps(getattr(direction, part), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UsageError(f"direction {name!r}: {part} is not JSON ({error})") from error


def check_vectors(name: str, vectors: Tensor) -> None:
    """Raise :class:`UsageError` unless they are finite floats of unit norm."""
    if not vectors.is_floating_point() or vectors.ndim not in (1, 2) or not vectors.numel():
        raise UsageError(
            f"direction {name!r} needs float vectors [w_dim] or [num_ws, w_dim], "
            f"got {list(vectors.shape)}"
        )
    norm = root_mean_square_norm(vectors)
    if not math.isfinite(norm):
        raise UsageError(f"direction {name!r} has NaN or infinity; make it again")
    if abs(norm - 1) > NORM_TOLERANCE:
        what = "is zero" if norm == 0 else f"has norm {norm:.4g} per layer"
        raise UsageError(f"direction {name!r} {what}, expected 1")


def check_styles(name: str, styles: StyleRange, vectors: Tensor) -> None:
    """Raise :class:`UsageError` for a range that is empty or ends after the rows of the vectors."""
    first, stop = styles
    if not 0 <= first < stop:
        raise UsageError(f"direction {name!r} has styles {styles}, expected 0 <= first < stop")
    if vectors.ndim == 2 and stop > len(vectors):
        raise UsageError(
            f"direction {name!r} has {len(vectors)} styles, its range ends with style {stop - 1}; "
            f"expected a range within 0 to {len(vectors) - 1}, both included"
        )
