"""A point in a latent space: its parts, its space, and the generator it belongs to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invert.arguments import whole
from invert.errors import LatentError, ModelFileError, UsageError
from invert.latents.companion import Companion
from invert.latents.latent_checks import check_parts
from invert.latents.latent_files import read_latent, write_latent
from invert.latents.spaces import POINT_PARTS, Space

Styles = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Latent:
    """A batch of N ≥ 1 points of one space. Immutable; checked against its space on construction.

    space        a :class:`Space`, or its name such as "FNW5"
    styles       Z: [N, z_dim]. W: [N, w_dim]. W+ from layer i: [N, num_ws − i + 1, w_dim], w_i
                 first. Spatial: a tuple of maps [N, w_dim, h, w], one per layer ≥ i, stored at any
                 size up to the layer's
    features     F_i [N, C, H, W]; None outside the F… spaces
    rgb          R_i [N, 3, h, w]; None where the generator has none there (i = 1, or no RGB skip at
                 all)
    noise        maps n_j [N, 1, H, W] of the convolution layers j ≥ i; () at the last layer, which
                 makes the image; None outside the N… spaces
    label        c [N, c_dim] of a conditional generator, only where styles are z
    companion    the W+ styles by which edits reach F_i (:class:`Companion`); None outside the F…
                 spaces, and where there are none
    fingerprint  of the generator's weights
    metadata     JSON-like facts that travel with the file: generator name, image and crop,
                 projection settings; each latent has its own copy of the mapping
    """

    space: Space
    styles: Styles
    fingerprint: str
    features: Tensor | None = None
    rgb: Tensor | None = None
    noise: tuple[Tensor, ...] | None = None
    label: Tensor | None = None
    companion: Companion | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", Space.parse(self.space))
        if not isinstance(self.metadata, Mapping):
            raise LatentError(f"expected a dict as metadata, got {type(self.metadata).__name__}")
        object.__setattr__(self, "metadata", dict(self.metadata))
        check_parts(self)

    def __len__(self) -> int:
        return self.tensors()[0].shape[0]

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Latent:
        """The chosen points, by number, slice or several numbers; one number keeps the batch axis.

        Raises IndexError for a number outside the batch, :class:`UsageError` for anything else.
        """
        if isinstance(index, slice):
            numbers = range(len(self))[index]
            chosen = index if numbers.step > 0 else list(numbers)  # torch has no negative steps
            return self.map(lambda t: t[chosen])

        # One number gives views, as a slice does; several give copies.
        number = whole(index)
        listed = point_numbers(index, len(self)) if number is None else [number]
        for k in listed:
            if not -len(self) <= k < len(self):
                raise IndexError(f"latent {k} of a batch of {len(self)}")
        if number is None:
            return self.map(lambda t: t[listed])
        first = number % len(self)
        return self.map(lambda t: t[first : first + 1])

    def map(self, function: Callable[[Tensor], Tensor]) -> Latent:
        """The latent with `function` applied to every tensor."""

        def each(part: Any) -> Any:
            return tuple(function(t) for t in part) if isinstance(part, tuple) else function(part)

        parts = {name: each(part) for name, part in self.parts().items() if name in POINT_PARTS}
        companion = None if self.companion is None else self.companion.map(function)
        return self.replace(**parts, companion=companion)

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Latent:
        """The latent there and in that precision; itself where it is so already."""
        moved = self.map(lambda t: t.to(device=device, dtype=dtype))
        same = all(a is b for a, b in zip(self.tensors(), moved.tensors(), strict=True))
        return self if same else moved

    def detach(self) -> Latent:
        """The latent without gradients."""
        return self.map(Tensor.detach)

    def replace(self, **changes: Any) -> Latent:
        """A copy with some fields changed, checked again.

        The origin of edits belongs to the old F_i and R_i: new ones drop it, unless a companion
        comes with them.
        """
        if {"features", "rgb"} & changes.keys() and self.companion is not None:
            changes.setdefault("companion", self.companion.replace(origin=None))
        return dataclasses.replace(self, **changes)

    def parts(self) -> dict[str, Tensor | tuple[Tensor, ...]]:
        """The tensors of the parts that the point has, by the names that files give them."""
        companion = self.companion
        parts: dict[str, Tensor | tuple[Tensor, ...] | None] = {
            **{name: getattr(self, name) for name in POINT_PARTS},
            "companion": None if companion is None else companion.styles,
            "places": None if companion is None else companion.windows,
            "origin": None if companion is None else companion.origin,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def tensors(self) -> list[Tensor]:
        """All tensors of the point, styles first."""
        return [
            t
            for part in self.parts().values()
            for t in (part if isinstance(part, tuple) else (part,))
        ]

    def style_list(self) -> list[Tensor]:
        """One style per layer from `space.first` on: [N, w_dim], or maps [N, w_dim, h, w].

        Raises :class:`LatentError` in W and Z, where one style serves all layers.
        """
        if self.space.base != "W+":
            raise LatentError(f"{self.space} has no style per layer; convert to W+ first")
        return list(self.styles) if isinstance(self.styles, tuple) else list(self.styles.unbind(1))

    def style_tensor(self) -> Tensor:
        """The styles as one tensor. Raises :class:`LatentError` in spaces of style maps."""
        if isinstance(self.styles, tuple):
            raise LatentError(f"{self.space} has a style map per layer; use style_list()")
        return self.styles

    def origin(self) -> tuple[Tensor, ...]:
        """Where edits begin: (companion styles, F_i) or (companion styles, F_i, R_i).

        As they were before the first edit, or as they are, if no edit has left an origin. Raises
        :class:`LatentError` without a companion.
        """
        if self.companion is None:
            raise LatentError(f"this point of {self.space} has no companion, where edits begin")
        if self.companion.origin is not None:
            return self.companion.origin
        return tuple(t for t in (self.companion.styles, self.features, self.rgb) if t is not None)

    @classmethod
    def cat(cls, latents: Sequence[Latent]) -> Latent:
        """One batch of several latents of the same space, generator and sizes.

        The metadata are the first one's. Companions stay if all latents have them, in the same
        sizes and number. Edited and unedited points can be joined: the origin of an unedited one is
        where it is.
        """
        if not latents:
            raise LatentError("expected at least one latent, got none")
        first = latents[0]
        for other in latents[1:]:
            if other.space != first.space or other.fingerprint != first.fingerprint:
                same = other.fingerprint == first.fingerprint
                raise LatentError(
                    "expected latents of one space and generator, "
                    f"got {first.space} and {other.space}"
                    + ("" if same else " of different generators")
                )

        latents = with_like_companions(latents)
        stacks = [latent.tensors() for latent in latents]
        if any([t.shape[1:] for t in s] != [t.shape[1:] for t in stacks[0]] for s in stacks):
            raise LatentError("expected latents of the same sizes; map sizes differ")

        # `map` visits the tensors in the order of `tensors`.
        joined = iter([torch.cat(group) for group in zip(*stacks, strict=True)])
        return latents[0].map(lambda _: next(joined))

    def save(self, path: str | Path) -> None:
        """Write a `.pt` or, by suffix, a `.safetensors` file, atomically. See docs/latent-files.md.

        Raises :class:`UsageError` for any other suffix.
        """
        write_latent(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Latent:
        """Read a latent file without trusting it.

        Raises :class:`ModelFileError`: `PATH: what is wrong; what to do`.
        """
        fields = read_latent(Path(path))
        try:
            return cls(**fields)
        except LatentError as error:
            raise ModelFileError(f"{path}: {error}") from error


def point_numbers(index: Any, count: int) -> list[int]:
    """The numbers of points in a sequence, array or tensor of integers.

    Raises :class:`UsageError` for anything else; `count` points are there.
    """
    listed = list(index) if isinstance(index, Iterable) else []
    numbers = [number for number in map(whole, listed) if number is not None]
    if not numbers or len(numbers) < len(listed):
        raise UsageError(
            f"points of a batch of {count} are chosen by an integer, a slice or a list of "
            f"integers, got {index!r}"
        )
    return numbers


def with_like_companions(latents: Sequence[Latent]) -> list[Latent]:
    """The latents with companions of one size and number, all or none with an origin."""
    companions = [x.companion for x in latents if x.companion is not None]
    sizes = {
        (c.styles.shape[1:], None if c.windows is None else c.windows.shape[1:]) for c in companions
    }
    if len(companions) < len(latents) or len(sizes) > 1:
        return [x.replace(companion=None) for x in latents]

    # What was not edited is its own origin.
    if any(c.origin is not None for c in companions):
        return [
            x.replace(companion=c.replace(origin=x.origin()))
            for x, c in zip(latents, companions, strict=True)
        ]
    return list(latents)
