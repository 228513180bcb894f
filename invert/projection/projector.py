"""A latent whose image is close to a given one ([S] algorithm 4).

`project` checks, initializes, optimizes, and fits the companion.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from invert import interrupts
from invert.arguments import check_seed
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.shapes import pixels
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance, load_perceptual
from invert.projection.companion import can_have_companion, with_companion
from invert.projection.framing import Framing
from invert.projection.initialization import initial_latent
from invert.projection.objective import Networks, Objective
from invert.projection.optimization import Callback, Projection, Step, optimize
from invert.projection.settings import ProjectionSettings, preset
from invert.projection.target import Source, make_target

__all__ = ["Projection", "Step", "project"]


@interrupts.postponed()
def project(
    generator: Generator,
    image: Source,
    space: str | Space = "FNW5",
    *,
    framing: Framing | None = None,
    settings: ProjectionSettings | None = None,
    init: Latent | str | None = None,
    perceptual: PerceptualDistance | None = None,
    crop_perceptual: PerceptualDistance | None = None,
    seed: int = 0,
    callback: Callback | None = None,
) -> Projection:
    """The point of `space` whose image is closest to `image`.

    `image` is a path, a PIL image, or a tensor [1, 3, H, W] in [−1, 1]. A path or PIL image is read
    and cut as `invert project` does, or as `framing` says (:mod:`invert.projection.framing`); the
    latent's metadata tell where, under "image". A tensor is taken as it is: H × W is the
    generator's size or, in spaces with features, any multiple of a feature cell.

    `init` is a latent or a name: "encoder" (one forward pass), "two-stage" (F… spaces: a short
    projection into W+, whose point is then converted to the space) or "mean" (the mean w). Without
    it F… spaces take the bundled encoder for this generator and layer where there is one, else two
    stages, else (on a canvas of another size) the mean; other spaces take the mean. The latent's
    metadata name it.

    `settings` are by default those of the preset "fast". `perceptual` and `crop_perceptual` are
    distances that are loaded already, in place of those that the settings name. The same seed gives
    the same result whatever else runs.

    The point gets a companion (:mod:`invert.projection.companion`) where it can have one; that of
    a long run is fitted to its early point (:class:`Projection`). Where the first of two stages is
    interrupted or diverges, no second one follows: its best point, converted to the space, is the
    result.

    Raises :class:`UsageError` for images, spaces and inits that do not fit, and KeyboardInterrupt
    where one comes before there is a point.
    """
    # Check.
    target_space = Space.parse(space)
    settings = settings or preset("fast", target_space)
    check_seed(seed)
    check_space(target_space)

    # Initialize. There is nothing to keep yet, so an interrupt ends it at once.
    with interrupts.immediate():
        target, facts = make_target(generator, target_space, image, framing)
        target = check_image(generator, target, target_space)
        networks = networks_for(generator, settings, perceptual, crop_perceptual)
        objective = Objective(generator, target, networks, seed)
        init_name, point = initial_latent(generator, target, target_space, init)

    # Optimize.
    if init_name == "two-stage":
        result = optimize_in_two_stages(objective, point, target_space, settings, callback)
    else:
        result = optimize(objective, point, settings, callback)

    # Find the companion.
    result = add_companion(generator, result, settings)
    stop_reason = "interrupted" if interrupts.taken() else result.stop_reason

    # Record in the metadata how the point came about; files name the init "start".
    latent = result.latent
    record = {**latent.metadata["projection"], "start": init_name, "stop_reason": stop_reason}
    metadata = {**latent.metadata, "projection": record, **({"image": facts} if facts else {})}
    return replace(result, latent=latent.replace(metadata=metadata), stop_reason=stop_reason)


def optimize_in_two_stages(
    objective: Objective,
    init: Latent,
    space: Space,
    settings: ProjectionSettings,
    callback: Callback | None,
) -> Projection:
    """Optimize `init`, a point of (N)W+, then its best point as one of `space`.

    A first stage that is interrupted or diverges is the result, converted to `space`.
    """
    generator = objective.generator
    first = optimize(objective, init, settings.for_init(), callback, stage="init")
    latent = generator.convert(first.latent, space)
    if first.stop_reason == "steps":
        return optimize(objective, latent, settings, callback)

    early = None if first.early is None else generator.convert(first.early, space)
    return replace(first, latent=latent, early=early, image=generator.render(latent))


def add_companion(
    generator: Generator, projection: Projection, settings: ProjectionSettings
) -> Projection:
    """The projection with a companion of its point, where it can have one.

    An interrupt meanwhile leaves the companion of the init. Nor does a run that was interrupted
    before `early_steps` get one: the edit that needs it fits the same one later.
    """
    latent, early = projection.latent, projection.early
    hurry = projection.stop_reason == "interrupted" and early is None
    if hurry or settings.steps == 0 or not can_have_companion(generator, latent):
        return projection

    try:
        latent = with_companion(generator, latent, early, steps=settings.companion_steps)
    except KeyboardInterrupt:
        return replace(projection, stop_reason="interrupted")
    return replace(projection, latent=latent)


def networks_for(
    generator: Generator,
    settings: ProjectionSettings,
    whole: PerceptualDistance | None,
    crop: PerceptualDistance | None,
) -> Networks:
    """The networks that the settings name; distances are loaded where they are not given."""
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
    if not settings.half:
        return Networks(generator, whole, crop)
    half_whole = whole and whole.halved()
    half_crop = half_whole if crop is whole else crop and crop.halved()
    return Networks(generator.half(), half_whole, half_crop)


def check_space(space: Space) -> None:
    """Raise :class:`UsageError` for a space that nothing can be projected into."""
    if space.base == "Z":
        raise UsageError(
            f"cannot project into {space}: z is not optimized; use W or an N/F/S space of W+"
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
    return image.detach().to(generator.device, generator.dtype)
