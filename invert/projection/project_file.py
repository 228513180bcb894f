"""Photographs from file to files: read, crop, project, measure, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from invert import interrupts
from invert.encoders.encoder import Encoder
from invert.files.atomic_files import write_set
from invert.generator import Generator
from invert.images.images import area_downscale, encode_animation, to_pil
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance, load_perceptual
from invert.metrics.reconstruction import projection_metrics, reconstruction_metrics
from invert.projection.framing import Framing, load_target
from invert.projection.initialization import Init, encoder_init
from invert.projection.optimization import Callback, Projection, Step
from invert.projection.outputs import OutputPaths, projection_files
from invert.projection.projector import project
from invert.projection.recorded import Recordings
from invert.projection.settings import ProjectionSettings
from invert.weights import cached

METRICS = ("st-lpips-vgg", "st-lpips-alex")  # perceptual distances in the report
# and that of publications, where its weights are here: no command fails for want of them
PUBLISHED_METRIC = "lpips-alex"
PROGRESS_FRAMES = 60  # of the animation, at most about
PROGRESS_SIDE = 256  # pixels of a frame's shorter side
PROGRESS_RATE = 12  # frames per second


@dataclass(frozen=True)
class ProjectionJob:
    """What to do with each photograph of a run."""

    space: Space
    settings: ProjectionSettings
    seed: int = 0
    framing: Framing = field(default_factory=Framing)
    progress_format: Literal["gif", "webp"] | None = None
    lpips_weights: Path | None = None  # of torchvision's backbone, for an LPIPS loss


@dataclass(frozen=True)
class Photograph:
    """A photograph as it is to be projected.

    image  [1, 3, H, W] in [−1, 1], and where in the file it lies (`facts`)
    init   a latent or the name of an init (:func:`invert.project`); `init_name` is what reports say
    """

    image: Tensor
    facts: Mapping[str, Any]
    init: Init
    init_name: str | None = None


@dataclass(frozen=True)
class Projected:
    """The projection of a photograph, in a batch of so many, and the frames of its animation."""

    projection: Projection
    batch: int
    frames: Sequence[Tensor] = ()


@interrupts.postponed()
def project_file(
    generator: Generator,
    source: Path,
    paths: OutputPaths,
    job: ProjectionJob,
    *,
    init: Init = None,
    encoder: Encoder | None = None,
    callback: Callback | None = None,
    record: Mapping[str, Any] | None = None,
    write: Callable[[Mapping[Path, bytes]], object] = write_set,
) -> dict[str, Any]:
    """Project one photograph and write its files to `paths`; the report that is also NAME.json.

    `init` is a latent or the name of an init (:func:`invert.project`); an `encoder` makes one from
    each photograph. The files hold a `record` of what they were made from
    (:mod:`invert.files.provenance`); `write` writes all of them. An interrupt before there is a
    point is raised; after that the point is written all the same, and the report says
    "interrupted".
    """
    photograph = read_photograph(generator, source, job, init=init, encoder=encoder)
    [projected] = project_photographs(generator, [photograph], job, callback)
    return write_projection(generator, photograph, projected, paths, job, record, write)


def read_photograph(
    generator: Generator,
    source: Path,
    job: ProjectionJob,
    *,
    init: Init = None,
    encoder: Encoder | None = None,
) -> Photograph:
    """Read and crop a photograph; an `encoder` makes its init in place of `init`.

    An interrupt is raised where it comes: there is nothing to keep yet.
    """
    with interrupts.immediate():
        image, facts = load_target(generator, job.space, source, job.framing)
        if encoder is None:
            return Photograph(image, facts, init)
        return Photograph(
            image, facts, encoder_init(generator, image, job.space, encoder), "encoder"
        )


def project_photographs(
    generator: Generator,
    photographs: Sequence[Photograph],
    job: ProjectionJob,
    callback: Callback | None = None,
    recordings: Recordings | None = None,
) -> list[Projected]:
    """The projections of photographs of one size, as one batch.

    `recordings` keep the graphs of one batch for the next (:func:`invert.project`).
    An interrupt before there is a point is raised; after that the points are the results, and their
    stop reason is "interrupted".
    """
    # The distances; there is nothing to keep yet.
    loss_name, crop_name, _ = distance_names(job.settings)
    with interrupts.immediate():
        whole = distance(loss_name, generator, job.lpips_weights) if loss_name else None
        crop = distance(crop_name, generator) if crop_name else None

    # Project.
    frames: list[list[Tensor]] = [[] for _ in photographs]
    results = project(
        generator,
        [photograph.image for photograph in photographs],
        job.space,
        settings=job.settings,
        init=[photograph.init for photograph in photographs],
        perceptual=whole,
        crop_perceptual=crop,
        seed=job.seed,
        callback=chain(callback, frame_collector(frames) if job.progress_format else None),
        recordings=recordings,
    )
    return [
        Projected(result, len(photographs), own)
        for result, own in zip(results, frames, strict=True)
    ]


def write_projection(
    generator: Generator,
    photograph: Photograph,
    projected: Projected,
    paths: OutputPaths,
    job: ProjectionJob,
    record: Mapping[str, Any] | None = None,
    write: Callable[[Mapping[Path, bytes]], object] = write_set,
) -> dict[str, Any]:
    """Measure a projection and write its files to `paths`; the report that is also NAME.json."""
    result = projected.projection
    target = photograph.image

    # Measure.
    metric_names = distance_names(job.settings)[2]
    distances = [distance(name, generator) for name in metric_names]
    metrics, interrupted = measure(generator, result, target, distances)
    if metric_names:
        metrics.setdefault(PUBLISHED_METRIC, None)  # null: not measured
    start = photograph.init_name or result.latent.metadata["projection"]["start"]
    report = {
        "image": photograph.facts,
        "space": str(job.space),
        "generator": {"name": generator.name, "fingerprint": generator.fingerprint},
        "settings": asdict(job.settings.for_device(generator.device)),
        "seed": job.seed,
        "start": start,
        "best_step": result.best_step,
        "stop_reason": result.stop_reason,
        "batch": projected.batch,
        "seconds_per_step": seconds_per_step(result),
        "metrics": metrics,
        "files": {key: str(path) for key, path in asdict(paths).items()},
        **(record or {}),
    }

    # Write.
    projection = {**result.latent.metadata["projection"], "start": start}
    metadata = {**result.latent.metadata, "projection": projection, "image": photograph.facts}
    latent = result.latent.replace(metadata=metadata)
    contents = projection_files(paths, latent, result.image, target, report, record)
    if job.progress_format:
        animation = paths.progress(job.progress_format)
        frames = projected.frames or [small_frame(result.image)]  # where no step was made
        pictures = [to_pil(frame)[0] for frame in frames]
        data = encode_animation(pictures, animation, PROGRESS_RATE, record)
        contents = {animation: data, **contents}
    write(contents)

    # An interrupt while it was measured and written.
    interrupted = interrupts.taken() or interrupted
    return {**report, "stop_reason": "interrupted"} if interrupted else report


def measure(
    generator: Generator,
    result: Projection,
    target: Tensor,
    distances: list[PerceptualDistance],
) -> tuple[dict[str, Any], bool]:
    """How close the projection is to its target, and its parts to generated ones; and whether an
    interrupt came.

    To sample generated points may take minutes: an interrupted projection is not compared with
    them, and an interrupt ends the comparison.
    """
    if result.stop_reason != "interrupted":
        with suppress(KeyboardInterrupt):
            metrics = projection_metrics(generator, result.latent, result.image, target, distances)
            return metrics, False
    return {**reconstruction_metrics(result.image, target, distances)}, True


def seconds_per_step(result: Projection) -> float | None:
    """The mean over the steps of the last stage; None where there are fewer than two."""
    steps = result.history
    return steps[-1].seconds / (len(steps) - 1) if len(steps) > 1 else None


def distance_names(settings: ProjectionSettings) -> tuple[str | None, str | None, tuple[str, ...]]:
    """The perceptual distances of the loss, of its crops, and of the metrics in the report."""
    if settings.perceptual == "none":
        return None, None, ()
    crop_name = settings.crop_perceptual if settings.crop_weight else None
    published = cached(PUBLISHED_METRIC, verify=True) is not None
    return settings.perceptual, crop_name, (*METRICS, *[PUBLISHED_METRIC] * published)


@cache
def distance(
    name: str, generator: Generator, lpips_weights: Path | None = None
) -> PerceptualDistance:
    """A perceptual distance on the generator's device, loaded once for all photographs of a run."""
    return load_perceptual(name, device=generator.device, lpips_weights=lpips_weights)


def frame_collector(frames: Sequence[list[Tensor]]) -> Callback:
    """A callback that appends about 60 small frames of each stage to its image's `frames`."""

    def collect(step: Step) -> None:
        interval = max(1, step.steps // PROGRESS_FRAMES)
        if step.image is not None and step.step % interval == 0:
            frames[step.index].append(small_frame(step.image))

    return collect


def small_frame(image: Tensor) -> Tensor:
    """The image [1, 3, H, W] at the size of an animation's frame."""
    height, width = image.shape[2:]
    scale = PROGRESS_SIDE / min(height, width)
    return area_downscale(image, (round(height * scale), round(width * scale)))


def chain(*callbacks: Callback | None) -> Callback | None:
    """A callback that calls each of several, None left out; None without any."""
    if not any(callbacks):
        return None

    def call(step: Step) -> None:
        for callback in callbacks:
            if callback is not None:
                callback(step)

    return call
