"""One photograph from file to files: read, crop, project, measure, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance, load_perceptual
from invert.metrics.reconstruction import projection_metrics, reconstruction_metrics
from invert.projection.framing import Framing, load_target
from invert.projection.initialization import encoder_init
from invert.projection.optimization import Projection, Step
from invert.projection.outputs import OutputPaths, projection_files
from invert.projection.projector import project
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


@interrupts.postponed()
def project_file(
    generator: Generator,
    source: Path,
    paths: OutputPaths,
    job: ProjectionJob,
    *,
    init: Latent | str | None = None,
    encoder: Encoder | None = None,
    callback: Callable[[Step], object] | None = None,
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
    # Read and crop the photograph; there is nothing to keep yet.
    loss_name, crop_name, metric_names = distance_names(job.settings)
    with interrupts.immediate():
        target, facts = load_target(generator, job.space, source, job.framing)
        if encoder is not None:
            init = encoder_init(generator, target, job.space, encoder)
        whole = distance(loss_name, generator, job.lpips_weights) if loss_name else None
        crop = distance(crop_name, generator) if crop_name else None

    # Project.
    frames: list[Tensor] = []
    result = project(
        generator,
        target,
        job.space,
        settings=job.settings,
        init=init,
        perceptual=whole,
        crop_perceptual=crop,
        seed=job.seed,
        callback=chain(callback, frame_collector(frames) if job.progress_format else None),
    )

    # Measure.
    distances = [distance(name, generator) for name in metric_names]
    metrics = measure(generator, result, target, distances)
    if metric_names:
        metrics.setdefault(PUBLISHED_METRIC, None)  # null: not measured
    report = {
        "image": facts,
        "space": str(job.space),
        "generator": {"name": generator.name, "fingerprint": generator.fingerprint},
        "settings": asdict(job.settings),
        "seed": job.seed,
        "start": result.latent.metadata["projection"]["start"] if encoder is None else "encoder",
        "best_step": result.best_step,
        "stop_reason": result.stop_reason,
        "seconds_per_step": seconds_per_step(result),
        "metrics": metrics,
        "files": {key: str(path) for key, path in asdict(paths).items()},
        **(record or {}),
    }

    # Write.
    latent = result.latent.replace(metadata={**result.latent.metadata, "image": facts})
    contents = projection_files(paths, latent, result.image, target, report, record)
    if job.progress_format:
        animation = paths.progress(job.progress_format)
        pictures = [to_pil(frame)[0] for frame in frames]
        data = encode_animation(pictures, animation, PROGRESS_RATE, record)
        contents = {animation: data, **contents}
    write(contents)

    # An interrupt while it was measured and written.
    return {**report, "stop_reason": "interrupted"} if interrupts.taken() else report


def measure(
    generator: Generator,
    result: Projection,
    target: Tensor,
    distances: list[PerceptualDistance],
) -> dict[str, Any]:
    """How close the projection is to its target, and its parts to generated ones.

    An interrupted projection is not compared with generated points: to sample them may take
    minutes.
    """
    if result.stop_reason == "interrupted":
        return {**reconstruction_metrics(result.image, target, distances)}
    return projection_metrics(generator, result.latent, result.image, target, distances)


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


def frame_collector(frames: list[Tensor]) -> Callable[[Step], None]:
    """A callback that appends about 60 small frames of each stage to `frames`."""

    def collect(step: Step) -> None:
        interval = max(1, step.steps // PROGRESS_FRAMES)
        if step.image is not None and step.step % interval == 0:
            height, width = step.image.shape[2:]
            scale = PROGRESS_SIDE / min(height, width)
            frames.append(area_downscale(step.image, (round(height * scale), round(width * scale))))

    return collect


def chain(*callbacks: Callable[[Step], object] | None) -> Callable[[Step], None]:
    """A callback that calls each of several, None left out."""

    def call(step: Step) -> None:
        for callback in callbacks:
            if callback is not None:
                callback(step)

    return call
