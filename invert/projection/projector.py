"""A latent whose image is close to a given one: a start, then optimization ([S] algorithm 4)."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from invert import interrupts
from invert.arguments import check_seed
from invert.errors import LatentError, UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.shapes import pixels
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance, load_perceptual
from invert.projection.companion import can_have_companion, with_companion
from invert.projection.framing import Framing
from invert.projection.initialization import encoder_init, mean_init, possible_inits
from invert.projection.objective import Networks
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

    That is a path, a PIL image, or a tensor [1, 3, H, W] in [−1, 1]. A path or PIL image is read
    and cut as `invert project` does, or as `framing` says (`invert.projection.framing`), and the
    latent's
    metadata tell where ("image"). A tensor is taken as it is: H × W is the generator's size or, in
    spaces with features, any multiple of a feature cell. `init` is a latent, or
    "encoder" (one forward pass), "two-stage" (F… spaces: a short projection into W+ that is then
    opened) or "mean"
    (the mean w). Without it F… spaces take the encoder that comes for this generator and layer,
    else two stages, else
    (on a canvas of another size) the mean; other spaces take the mean. The start is in the latent's
    metadata.
    `perceptual` and `crop_perceptual` spare loading what the settings name. The same seed gives the
    same result
    whatever else runs. The point gets a companion of its own (`invert.projection.companion`) where
    it can have one, through which
    edits reach F_i; that of a long run is found from its early point (:class:`Projection`). A first
    stage that is
    interrupted or diverges is the last: its best point, opened in the space, is the result. Raises
    :class:`UsageError` for images, spaces and starts that do not fit, and KeyboardInterrupt where
    one comes before
    there is a point.
    """
    target_space = Space.parse(space)
    settings = settings or preset("fast", target_space)
    check_seed(seed)
    check_space(target_space)
    with interrupts.immediate():  # no point yet that is worth keeping
        image, facts = make_target(generator, target_space, image, framing)
        image = check_image(generator, image, target_space)
        networks = networks_for(generator, settings, perceptual, crop_perceptual)
        name, start = initial_latent(generator, image, target_space, init)

    def run(start: Latent, settings: ProjectionSettings, stage: str) -> Projection:
        return optimize(generator, image, start, settings, networks, seed, callback, stage)

    # One stage, or two; where the first did not come to its end, it is the projection.
    if name == "two-stage":
        first = run(start, settings.for_init(), "init")
        if first.stop_reason == "steps":
            result = run(generator.convert(first.latent, target_space), settings, "project")
        else:
            result = opened(generator, first, target_space)
    else:
        result = run(start, settings, "project")

    # The companion; an interrupt meanwhile leaves that of the start, and the point is done.
    latent, stop_reason = result.latent, result.stop_reason
    later = stop_reason == "interrupted" and result.early is None  # whoever edits it finds the same
    if settings.steps and not later and can_have_companion(generator, latent):
        try:
            latent = with_companion(generator, latent, result.early, steps=settings.companion_steps)
        except KeyboardInterrupt:
            stop_reason = "interrupted"
    if interrupts.taken():
        stop_reason = "interrupted"

    story = {**latent.metadata["projection"], "start": name, "stop_reason": stop_reason}
    where = {"image": facts} if facts else {}
    latent = latent.replace(metadata={**latent.metadata, "projection": story, **where})
    return dataclasses.replace(result, latent=latent, stop_reason=stop_reason)


def initial_latent(
    generator: Generator, image: Tensor, space: Space, init: Latent | str | None
) -> tuple[str, Latent]:
    """The name of the start and its point: of `space`, or of (N)W+ where two stages begin.

    Raises :class:`UsageError` for a start that does not fit.
    """
    if isinstance(init, Latent):
        name, start = "latent", generator.convert(init, space)
    else:
        possible = possible_inits(generator, image, space)
        if init is not None and init not in possible:
            names = ", ".join(possible)
            raise UsageError(f"no start {init!r} for this image and {space}; possible: {names}")
        name = init or possible[0]
        if name == "encoder":
            start = encoder_init(generator, image, space)
        else:
            flat = Space("W+", noise=space.noise)
            start = mean_init(generator, image, flat if name == "two-stage" else space)

    size = generator.check(start).image
    if size != tuple(image.shape[2:]):
        raise LatentError(f"the start renders {size}, the image is {tuple(image.shape[2:])}")
    return name, start


def opened(generator: Generator, projection: Projection, space: Space) -> Projection:
    """The projection with its points in another space, and its picture rendered from there."""
    latent = generator.convert(projection.latent, space)
    early = None if projection.early is None else generator.convert(projection.early, space)
    image = generator.render(latent)
    return dataclasses.replace(projection, latent=latent, early=early, image=image)


def networks_for(
    generator: Generator,
    settings: ProjectionSettings,
    whole: PerceptualDistance | None,
    crop: PerceptualDistance | None,
) -> Networks:
    """The networks that the settings ask for, distances loaded where they are not given."""
    if settings.perceptual != "none" and whole is None:
        whole = load_perceptual(settings.perceptual, device=generator.device, dtype=generator.dtype)
    if whole is None or not settings.crop_weight:
        crop = None
    elif crop is None and settings.crop_perceptual == whole.name:
        crop = whole
    elif crop is None:
        crop = load_perceptual(
            settings.crop_perceptual, device=generator.device, dtype=generator.dtype
        )
    if not settings.half:
        return Networks(generator, whole, crop)
    half = whole and whole.halved()
    return Networks(generator.half(), half, half if crop is whole else crop and crop.halved())


def check_space(space: Space) -> None:
    """Raise :class:`UsageError` for a space that nothing can be projected into."""
    if space.base == "Z":
        raise UsageError(
            f"cannot project into {space}: z is not optimized; use W or an N/F/S space of W+"
        )


def check_image(generator: Generator, image: Tensor, space: Space) -> Tensor:
    """The image on the generator's device; raises :class:`UsageError` unless the space can hold it."""
    multiple = generator.step(space)
    h, w = image.shape[2:]
    if space.layer is None and (h, w) != generator.image_size:
        high, wide = generator.image_size
        held = f"{wide} px squares" if high == wide else f"images of {pixels(generator.image_size)}"
        raise UsageError(f"{space} holds {held}, got {w}×{h}; F… spaces hold other sizes")
    if h % multiple or w % multiple:
        raise UsageError(f"{space} holds images of multiples of {multiple} px here, got {w}×{h}")
    return image.detach().to(generator.device, generator.dtype)
