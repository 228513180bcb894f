"""The distributions of F_i by name: new ones for a training, and those that checkpoints name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from invert.errors import ModelFileError, UsageError, did_you_mean
from invert.latent_maps.blurred_noise import (
    MAX_SIGMA,
    BoxMap,
    GaussianMap,
    LearnedMap,
    MotionMap,
    RadialMap,
)
from invert.latent_maps.filtered_noise import LatentMap, NormalMap
from invert.latent_maps.polygons import MAX_RADIUS, PolygonMap

KINDS: Mapping[str, type[LatentMap]] = {
    kind.kind: kind
    for kind in (NormalMap, GaussianMap, BoxMap, RadialMap, MotionMap, LearnedMap, PolygonMap)
}
SIGMA_SHARE = 0.25  # σ_max of a new distribution, in sides of the training map
LEAST_LEARNED = 0.25  # cells: the first σ of learned ones, from which log σ can move


@dataclass(frozen=True)
class MixedMap(LatentMap):
    """Several distributions side by side, each with a share of the channels."""

    parts: tuple[LatentMap, ...]

    kind = "mixed"

    @property
    def margin(self) -> int:
        """That of the widest part."""
        return max(part.margin for part in self.parts)

    @property
    def noise_channels(self) -> int:
        """Of all parts together."""
        return sum(part.noise_channels for part in self.parts)

    def filter(self, noise: Tensor) -> Tensor:
        """Each part's map of its own channels of the noise."""
        maps = []
        for part, own in zip(
            self.parts, noise.split([part.noise_channels for part in self.parts], 1), strict=True
        ):
            spare = self.margin - part.margin
            height, width = own.shape[2:]
            maps.append(part.filter(own[:, :, spare : height - spare, spare : width - spare]))
        return torch.cat(maps, 1)

    def config(self) -> dict[str, Any]:
        """The kind and those of the parts."""
        parts = [part.config() for part in self.parts]
        return {"kind": self.kind, "channels": self.channels, "parts": parts}


def new_latent_map(name: str, channels: int, side: int) -> LatentMap:
    """The distribution `name` for a training on F_i of `side` cells.

    Several names joined by `+` share the channels. [S] does not say its σ_max: here the widest blur
    has a σ of a quarter of the side, and the largest polygon a radius of half of it, as a disc of
    that σ would have. Raises :class:`UsageError` for names as :func:`kinds_of` does, for more of
    them than channels, and for maps larger than :func:`largest_side`.
    """
    names = kinds_of(name)
    if len(names) > channels:
        raise UsageError(f"{len(names)} latent maps need as many channels, got {channels}")

    # Shares of the channels as equal as they can be.
    shares = [
        channels * (k + 1) // len(names) - channels * k // len(names) for k in range(len(names))
    ]
    parts = tuple(new_part(each, share, side) for each, share in zip(names, shares, strict=True))
    return parts[0] if len(parts) == 1 else MixedMap(channels, parts)


def kinds_of(name: str) -> list[str]:
    """The distributions that a name joins by `+`. Raises :class:`UsageError` for unknown ones, and
    for a learned one among others.
    """
    names = name.lower().split("+")
    for each in names:
        if each not in KINDS:
            known = ", ".join(KINDS)
            raise UsageError(
                f"unknown latent map {each!r}; known: {known}, or several joined by +"
                f"{did_you_mean(each, KINDS)}"
            )
    if LearnedMap.kind in names and len(names) > 1:
        raise UsageError("learned latent maps stand alone; join fixed ones")
    return names


def largest_side(name: str) -> float:
    """Cells a side of the largest training map that the distribution `name` is for: blurs and
    polygons are limited, and the widest ones grow with the side.
    """
    sides = {
        NormalMap.kind: math.inf,
        LearnedMap.kind: MAX_SIGMA / (2 * SIGMA_SHARE),
        PolygonMap.kind: MAX_RADIUS / (2 * SIGMA_SHARE),
    }
    return min(sides.get(each, MAX_SIGMA / SIGMA_SHARE) for each in kinds_of(name))


def new_part(name: str, channels: int, side: int) -> LatentMap:
    """One distribution of `channels` at its width for maps of `side` cells."""
    width = SIGMA_SHARE * side
    if name == "normal":
        return NormalMap(channels)
    if name == "polygons":
        return PolygonMap(channels, max(1.0, 2 * width))
    if name == "learned":
        sigmas = torch.linspace(
            LEAST_LEARNED, max(width, LEAST_LEARNED), channels, dtype=torch.float32
        ).tolist()
        return LearnedMap(channels, 2 * width, tuple(sigmas))
    return KINDS[name](channels, width)  # type: ignore[call-arg]


def latent_map_from_config(config: Any) -> LatentMap:
    """The distribution that :meth:`LatentMap.config` described.

    Raises :class:`ModelFileError` for anything else.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("kind"), str):
        raise ModelFileError(f"latent_map should name its kind, this is {str(config)[:80]!r}")

    # Its fields; JSON has lists for tuples.
    kind = config["kind"]
    fields: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k != "kind"
    }

    # The distribution itself; a mixed one has parts.
    try:
        if kind == MixedMap.kind:
            parts = tuple(latent_map_from_config(part) for part in fields["parts"])
            if sum(part.channels for part in parts) != fields["channels"]:
                raise UsageError("the parts do not have the channels of the whole")
            return MixedMap(fields["channels"], parts)
        return KINDS[kind](**fields)
    except (KeyError, TypeError, UsageError) as error:
        reason = f"unknown kind {kind!r}" if kind not in (*KINDS, MixedMap.kind) else str(error)
        raise ModelFileError(f"latent_map: {reason}; update invert, or train again") from error
