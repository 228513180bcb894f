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
from invert.projection.optimization import Step
from invert.projection.outputs import OutputPaths, projection_files
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings

REPORTED = ("st-lpips-vgg", "st-lpips-alex")
PROGRESS_FRAMES = 60
PROGRESS_SIDE = 256


@dataclass(frozen=True)
class ProjectionJob:
    """What to do with each photograph of a run."""

    space: Space
    settings: ProjectionSettings
    seed: int = 0
    framing: Framing = field(default_factory=Framing)
    progress_format: Literal["gif", "webp"] | None = None
    trunk: Path | None = None  # torchvision weights for a true LPIPS loss


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

    `init` is a latent or the name of a start (:func:`invert.project`); an `encoder` makes one from
    each photograph.
    The files hold a `record` of what they were made from (:mod:`invert.files.provenance`); `write` writes
    the set of them.
    Once there is a point, an interrupt does not keep it from being written; the report that is
    returned tells of it.
    """
    asked, cropped, reported = distance_names(job.settings)
    with interrupts.immediate():  # nothing to keep yet
        target, facts = load_target(generator, job.space, source, job.framing)
        if encoder is not None:
            init = encoder_init(generator, target, job.space, encoder)
        whole = distance(asked, generator, job.trunk) if asked else None
        crop = distance(cropped, generator) if cropped else None
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
    distances = [distance(name, generator) for name in reported]
    # what generated points are like may take minutes to measure
    if result.stop_reason == "interrupted":
        metrics: dict[str, Any] = {**reconstruction_metrics(result.image, target, distances)}
    else:
        metrics = projection_metrics(generator, result.latent, result.image, target, distances)
    seconds = [step.seconds for step in result.history]
    report = {
        "image": facts,
        "space": str(job.space),
        "generator": {"name": generator.name, "fingerprint": generator.fingerprint},
        "settings": asdict(job.settings),
        "seed": job.seed,
        "start": "encoder"
        if encoder is not None
        else result.latent.metadata["projection"]["start"],
        "best_step": result.best_step,
        "stop_reason": result.stop_reason,
        "seconds_per_step": seconds[-1] / (len(seconds) - 1) if len(seconds) > 1 else None,
        "metrics": metrics,
        "files": {key: str(path) for key, path in asdict(paths).items()},
        **(record or {}),
    }
    latent = result.latent.replace(metadata={**result.latent.metadata, "image": facts})
    contents = projection_files(paths, latent, result.image, target, report, record)
    if job.progress_format:
        animation = paths.progress(job.progress_format)
        pictures = [to_pil(frame)[0] for frame in frames]
        contents = {animation: encode_animation(pictures, animation, 12, record), **contents}
    write(contents)
    if interrupts.taken():  # while it was measured and written
        report = {**report, "stop_reason": "interrupted"}
    return report


def distance_names(settings: ProjectionSettings) -> tuple[str | None, str | None, tuple[str, ...]]:
    """The perceptual distances of the loss, of its crops, and of the report."""
    if settings.perceptual == "none":
        return None, None, ()
    return settings.perceptual, settings.crop_perceptual if settings.crop_weight else None, REPORTED


@cache
def distance(name: str, generator: Generator, trunk: Path | None = None) -> PerceptualDistance:
    """A perceptual distance on the generator's device, loaded once for all photographs of a run."""
    return load_perceptual(name, device=generator.device, trunk=trunk)


def frame_collector(frames: list[Tensor]) -> Callable[[Step], None]:
    """A callback that keeps about 60 small frames of the run in `frames`."""

    def collect(step: Step) -> None:
        if step.image is not None and step.step % max(1, step.steps // PROGRESS_FRAMES) == 0:
            height, width = step.image.shape[2:]
            scale = PROGRESS_SIDE / min(height, width)
            frames.append(area_downscale(step.image, (round(height * scale), round(width * scale))))

    return collect


def chain(*callbacks: Callable[[Step], object] | None) -> Callable[[Step], None]:
    def call(step: Step) -> None:
        for callback in callbacks:
            if callback is not None:
                callback(step)

    return call
