"""Latents whose images are close to given ones ([S] algorithm 4).

`project` checks, initializes, optimizes, and fits the companions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import torch
from PIL import Image
from torch import Tensor

from invert import interrupts
from invert.arguments import check_seed
from invert.errors import UsageError
from invert.generator import Generator
from invert.hardware.modes import default_modes, ordinary
from invert.hardware.passes import passes
from invert.latents.shapes import pixels
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance, load_perceptual
from invert.projection.framing import Framing
from invert.projection.initialization import Init, initial_latent, inits_of
from invert.projection.objective import Networks, Objective
from invert.projection.optimization import Callback, Projection, Step, StopReason
from invert.projection.recorded import Recordings
from invert.projection.settings import ProjectionSettings, preset
from invert.projection.stages import project_batch, renumbered
from invert.projection.target import Each, Source, Sources, make_target, many, sources_of

__all__ = ["Projection", "Step", "project"]


@overload
def project(
    generator: Generator,
    image: str | os.PathLike[str] | Image.Image,
    space: str | Space = "FNW5",
    *,
    framing: Framing | None = None,
    settings: ProjectionSettings | None = None,
    init: Init | Sequence[Init] = None,
    perceptual: PerceptualDistance | None = None,
    crop_perceptual: PerceptualDistance | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    recordings: Recordings | None = None,
) -> Projection: ...


@overload
def project(
    generator: Generator,
    image: Sources[Each],
    space: str | Space = "FNW5",
    *,
    framing: Framing | None = None,
    settings: ProjectionSettings | None = None,
    init: Init | Sequence[Init] = None,
    perceptual: PerceptualDistance | None = None,
    crop_perceptual: PerceptualDistance | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    recordings: Recordings | None = None,
) -> tuple[Projection, ...]: ...


@overload
def project(
    generator: Generator,
    image: Tensor,
    space: str | Space = "FNW5",
    *,
    framing: Framing | None = None,
    settings: ProjectionSettings | None = None,
    init: Init | Sequence[Init] = None,
    perceptual: PerceptualDistance | None = None,
    crop_perceptual: PerceptualDistance | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    recordings: Recordings | None = None,
) -> Any: ...  # one for a tensor of one image, which its type does not tell


@interrupts.postponed()
@default_modes()
def project(
    generator: Generator,
    image: Source | Sources[Any],
    space: str | Space = "FNW5",
    *,
    framing: Framing | None = None,
    settings: ProjectionSettings | None = None,
    init: Init | Sequence[Init] = None,
    perceptual: PerceptualDistance | None = None,
    crop_perceptual: PerceptualDistance | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    recordings: Recordings | None = None,
) -> Projection | tuple[Projection, ...]:
    """The point of `space` whose image is closest to `image`.

    `image` is a path, a PIL image, or a tensor [1, 3, H, W] in [−1, 1]. A path or PIL image is read
    and cut as `invert project` does, or as `framing` says (:mod:`invert.projection.framing`); the
    latent's metadata tell where, under "image". A tensor is taken as it is: H × W is the
    generator's size or, in spaces with features, any multiple of a feature cell.

    Several images, as a sequence of these or a tensor [N, 3, H, W] with N > 1, give a tuple of N
    projections. Those of one size are optimized in one batch on a GPU, and one by one on a CPU.
    Each has the result that it has alone: bit for bit on a CPU, up to rounding on a GPU. A
    callback's steps have the number of the image in its batch as `index`.

    `init` is a latent or a name: "encoder" (one forward pass), "two-stage" (F… spaces: a short
    projection into W+, whose point is then converted to the space) or "mean" (the mean w). In Z
    spaces they are a z whose w is near the mean, and a short projection into Z. Without
    it F… spaces take the bundled encoder for this generator and layer where there is one, else two
    stages, else (on a canvas of another size) the mean; other spaces take the mean. The latent's
    metadata name it. Several images share it, unless it is a sequence of one for each or a latent
    of as many points.

    `recordings` keep the graphs of one call for the next, on devices that have them.

    `settings` are by default those of the preset "fast". `perceptual` and `crop_perceptual` are
    distances that are loaded already, in place of those that the settings name. The same seed gives
    the same result whatever else runs.

    The point gets a companion (:mod:`invert.projection.companion`) where it can have one; that of
    a long run is fitted to its early point (:class:`Projection`). Where the first of two stages is
    interrupted or diverges, no second one follows: its best point, converted to the space, is the
    result.

    Raises :class:`UsageError` for images, spaces and inits that do not fit, for names in place of
    settings and distances, and KeyboardInterrupt where one comes before there is a point.
    """
    # Check.
    target_space = Space.parse(space)
    settings = checked_settings(settings, target_space).for_device(generator.device)
    check_terms(settings, target_space)
    check_distance("perceptual", perceptual)
    check_distance("crop_perceptual", crop_perceptual)
    seed = check_seed(seed)

    # Read the images and initialize. There is nothing to keep yet, so an interrupt ends it at once.
    with interrupts.immediate():
        sources = sources_of(image)
        inits = inits_of(init, len(sources))
        targets, facts = [], []
        for source in sources:
            target, place = make_target(generator, target_space, source, framing)
            targets.append(check_image(generator, target, target_space))
            facts.append(place)
        networks = networks_for(generator, settings, perceptual, crop_perceptual, recordings)
        starts = [
            initial_latent(generator, target, target_space, first)
            for target, first in zip(targets, inits, strict=True)
        ]

    # Optimize the batches. What an interrupt leaves over stays at its init, unmeasured.
    results: dict[int, Projection] = {}
    interrupted = False
    for batch in batches(generator, targets, [name for name, _ in starts]):
        if interrupted:
            networks, settings = Networks(generator), settings.replace(steps=0, init_steps=0)
        objective = Objective(generator, torch.cat([targets[k] for k in batch]), networks, seed)
        points = [starts[k][1] for k in batch]
        tell = renumbered(callback, batch)
        two_stages = starts[batch[0]][0] == "two-stage"
        found = project_batch(
            objective, points, target_space, two_stages, settings, tell, recordings
        )

        interrupted = interrupted or interrupts.taken()
        for k, projection in zip(batch, found, strict=True):
            reason = "interrupted" if interrupted else projection.stop_reason
            results[k] = noted(projection, starts[k][0], facts[k], reason)
        interrupted = interrupted or "interrupted" in {p.stop_reason for p in found}

    projections = tuple(results[k] for k in range(len(sources)))
    return projections if many(image) else projections[0]


def batches(
    generator: Generator, targets: Sequence[Tensor], init_names: Sequence[str]
) -> list[list[int]]:
    """The numbers of the images that are optimized together, batch by batch.

    They have one size and one number of stages. On a CPU each is alone.
    """
    alike: dict[object, list[int]] = {}
    for k, (target, name) in enumerate(zip(targets, init_names, strict=True)):
        alike.setdefault((target.shape, name == "two-stage"), []).append(k)
    return [
        numbers[part]
        for numbers in alike.values()
        for part in passes(generator.device, len(numbers))
    ]


def noted(
    projection: Projection, init_name: str, facts: Mapping[str, Any], stop_reason: StopReason
) -> Projection:
    """The projection whose metadata say how the point came about; files name the init "start"."""
    latent = projection.latent
    record = {**latent.metadata["projection"], "start": init_name, "stop_reason": stop_reason}
    metadata = {**latent.metadata, "projection": record, **({"image": facts} if facts else {})}
    return replace(projection, latent=latent.replace(metadata=metadata), stop_reason=stop_reason)


def networks_for(
    generator: Generator,
    settings: ProjectionSettings,
    whole: PerceptualDistance | None,
    crop: PerceptualDistance | None,
    recordings: Recordings | None = None,
) -> Networks:
    """The networks that the settings name; distances are loaded where they are not given.

    Those in half precision are the same for all photographs of `recordings`.
    """
    # The distance of the whole image.
    if settings.perceptual != "none" and whole is None:
        whole = load_perceptual(settings.perceptual, device=generator.device, dtype=generator.dtype)

    # That of the crops; the same network is loaded once.
    if whole is None or not settings.crop_weight:
        crop = None
    elif crop is None and settings.crop_perceptual == whole.name:
        crop = whole
    elif crop is None:
        crop = load_perceptual(
            settings.crop_perceptual, device=generator.device, dtype=generator.dtype
        )

    # Copies in half precision.
    if not settings.for_device(generator.device).half:
        return Networks(generator, whole, crop)
    kept = recordings or Recordings()
    half_whole, half_crop = (
        distance and kept.half(distance, PerceptualDistance.halved) for distance in (whole, crop)
    )
    return Networks(kept.half(generator, Generator.half), half_whole, half_crop)


def checked_settings(settings: Any, space: Space) -> ProjectionSettings:
    """The settings, by default those of the preset "fast". Raises :class:`UsageError` for others,
    such as the name of a preset."""
    if settings is None:
        return preset("fast", space)
    if not isinstance(settings, ProjectionSettings):
        named = f"; preset({settings!r}, {str(space)!r}) makes them" * isinstance(settings, str)
        raise UsageError(f"settings are ProjectionSettings, got {settings!r}{named}")
    return settings


def check_distance(name: str, distance: Any) -> None:
    """Raise :class:`UsageError` unless a perceptual distance is a loaded one, or None."""
    if distance is not None and not isinstance(distance, PerceptualDistance):
        raise UsageError(
            f"{name} is a loaded distance, got {distance!r}; load_perceptual(name) loads one, and "
            f"settings.replace({name}=name) names one"
        )


def check_terms(settings: ProjectionSettings, space: Space) -> None:
    """Raise :class:`UsageError` where nothing compares images, or a term has nothing to weigh."""
    perceptual = settings.perceptual_weight if settings.perceptual != "none" else 0.0
    if settings.steps and not perceptual and not settings.mse_weight:
        raise UsageError(
            "no term compares the images: mse_weight is 0, and there is no perceptual distance; "
            "give one of them"
        )
    if settings.dist_weight and space.base == "Z" and space.layer is None:
        raise UsageError(
            f"{space} has no part whose distribution could be regularized, since z is always near "
            "a sphere; leave dist_weight at 0"
        )


def check_image(generator: Generator, image: Tensor, space: Space) -> Tensor:
    """The image on the generator's device.

    Raises :class:`UsageError` unless the space can hold images of its size.
    """
    multiple = generator.step(space)
    h, w = image.shape[2:]
    if space.layer is None and (h, w) != generator.image_size:
        high, wide = generator.image_size
        held = f"{wide} px squares" if high == wide else f"images of {pixels(generator.image_size)}"
        raise UsageError(f"{space} holds {held}, got {w}×{h}; F… spaces hold other sizes")
    if h % multiple or w % multiple:
        raise UsageError(f"{space} holds images of multiples of {multiple} px here, got {w}×{h}")
    return ordinary(image.detach()).to(generator.device, generator.dtype)
