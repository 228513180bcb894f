"""Edits along the catalogue's directions, and how strongly they act on a point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from faces import Face, descriptor_distance
from studio import Studio
from torch import Tensor

from directions.catalog import find
from edits.along_direction import edit
from edits.attributes.catalog import find_model
from edits.feature_edit_names import FEATURE_EDITS
from invert.latents.latent import Latent
from invert.latents.spaces import Space

Mover = Callable[[Latent, int], Latent]  # a point and a sign, ±1

REFERENCE_SEEDS = range(200_000, 200_016)  # generated faces that no direction was learned from


@dataclass(frozen=True)
class Response:
    """What the edits +s and −s do to one point.

    change    by score, that of +s minus that of −s; empty where a face was not found
    pixels    mean absolute difference of the two pictures, as a fraction of the range
    identity  mean descriptor distance of the two from the unedited picture; None where a face was
              not found
    """

    change: dict[str, float]
    pixels: float
    identity: float | None


def edit_mark() -> str:
    """What edits of projections depend on by default."""
    return str(FEATURE_EDITS["residual"])


def edited(
    studio: Studio,
    latent: Latent,
    name: str,
    strength: float,
    *,
    features: str = "auto",
    mask: Tensor | None = None,
) -> Latent:
    """The latent `strength` steps along a direction; `features` as for `invert edit`."""
    if latent.features is not None and features in ("auto", "residual"):
        studio.edits = edit_mark()
    return edit(studio.generator, latent, name, strength, features=features, mask=mask)


def has_model(studio: Studio, name: str, space: str) -> bool:
    """Whether an attribute model of a direction comes for the layer of a space."""
    layer = Space.parse(space).layer
    return layer is not None and find_model(studio.generator, find(name), layer) is not None


def along(studio: Studio, name: str, strength: float, *, features: str = "auto") -> Mover:
    """Moves a point `strength` steps along a direction for sign 1, back for −1."""
    return lambda point, sign: edited(studio, point, name, sign * strength, features=features)


def responses(
    studio: Studio,
    points: Sequence[Latent],
    mover: Mover,
    before: Sequence[Face | None] | None = None,
) -> list[Response]:
    """The response of each point to an edit; `before` are the unedited faces, measured here if they
    are not given.
    """
    if before is None:
        before = studio.nets.measure([studio.generator.render(point) for point in points])
    images = [studio.generator.render(mover(point, sign)) for point in points for sign in (1, -1)]
    found = studio.nets.measure(images)
    return [
        response(images[2 * k : 2 * k + 2], found[2 * k : 2 * k + 2], unedited)
        for k, unedited in enumerate(before)
    ]


def response(
    images: Sequence[Tensor], found: Sequence[Face | None], before: Face | None
) -> Response:
    """From the pictures and faces of +s and −s, and the unedited face."""
    pixels = pixel_change(*images)
    up, down = found
    if up is None or down is None:
        return Response({}, pixels, None)
    change = {score: up.scores[score] - down.scores[score] for score in up.scores}
    identity = (
        None if before is None else mean(descriptor_distance(face, before) for face in (up, down))
    )
    return Response(change, pixels, identity)


def pixel_change(a: Tensor, b: Tensor) -> float:
    """Mean absolute difference of two images, as a fraction of the range."""
    return (a.clamp(-1, 1) - b.clamp(-1, 1)).abs().mean().item() / 2


def mean_response(found: Sequence[Response], score: str) -> dict[str, Any]:
    """Means over the points where faces were found, and how many those were."""
    seen = [r for r in found if r.change]
    identities = [r.identity for r in seen if r.identity is not None]
    return {
        "change": mean(r.change[score] for r in seen) if seen else None,
        "pixels": mean(r.pixels for r in found),
        "identity": mean(identities) if identities else None,
        "faces": len(seen),
    }


def reference(studio: Studio, name: str, strength: float, score: str) -> dict[str, Any]:
    """The mean response of generated faces in NW+, to which those of projections are compared."""
    key = ("reference", name, strength)
    if key not in studio.shared:
        seeds = REFERENCE_SEEDS[: studio.count(len(REFERENCE_SEEDS))]
        points = [studio.opened(seed, "NW+") for seed in seeds]
        studio.shared[key] = responses(studio, points, along(studio, name, strength))
    return mean_response(studio.shared[key], score)


def share(part: float | None, whole: float | None) -> float | None:
    """part / whole; None where one is missing or the whole is 0."""
    return None if part is None or not whole else part / whole
