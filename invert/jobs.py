"""One photograph from file to files: read, crop, project, measure, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from torch import Tensor

from invert.alignment import choose_face, cut_face
from invert.encoder import Encoder
from invert.errors import ModelUnavailableError, UsageError
from invert.face_detection import face_detector
from invert.generator import Generator
from invert.image_files import shown
from invert.images import (
    ReadOptions,
    area_downscale,
    crop_to,
    fit_canvas,
    read_image,
    square_crop,
    to_images,
    to_tensor,
    write_animation,
)
from invert.latents import Latent
from invert.metrics import projection_metrics
from invert.models import MODELS
from invert.optimization import Step
from invert.outputs import OutputPaths, write_projection
from invert.perceptual import PerceptualDistance, load_perceptual
from invert.projector import project
from invert.settings import ProjectionSettings
from invert.spaces import Space
from invert.starts import encoder_start

Crop = tuple[float, float, float] | Literal["centre", "face"]  # x, y, side in pixels; or the square around a face
REPORTED = ("st-lpips-vgg", "st-lpips-alex")
PROGRESS_FRAMES = 60
PROGRESS_SIDE = 256


@dataclass(frozen=True)
class ProjectionJob:
    """What to do with each photograph of a run."""

    space: Space
    settings: ProjectionSettings
    seed: int = 0
    crop: Crop | None = None
    face: int | None = None  # which one, from the left, where there are several; None: the largest
    keep_size: bool = False
    reading: ReadOptions = field(default_factory=ReadOptions)
    progress_format: Literal["gif", "webp"] | None = None
    trunk: Path | None = None  # torchvision weights for a true LPIPS loss


def load_target(generator: Generator, source: Path, job: ProjectionJob) -> tuple[Tensor, dict[str, Any]]:
    """The photograph as [1, 3, H, W] in [−1, 1] at the size to project, and where it was cut from the file."""
    if job.face is not None and job.crop not in (None, "face"):
        raise UsageError("--face and --crop both say where to cut; give one, or --crop face with --face")
    picture = read_image(source, job.reading)
    facts: dict[str, Any] = {"file": source.name, "size": list(picture.size)}
    if job.keep_size:
        if job.space.layer is None or job.crop is not None or job.face is not None:
            raise UsageError("--keep-size needs a space with features, like FNW5, and no --crop or --face")
        layer = generator.layer(job.space.layer)
        cell = generator.resolution // layer.size
        halves = layer.rgb_size is not None and layer.rgb_size < layer.size
        fitted = fit_canvas(picture, cell * 2 if halves else cell)
    elif (crop := job.crop or default_crop(generator, picture, job.face)) == "face":
        try:
            detector = face_detector()
        except ModelUnavailableError as error:
            raise ModelUnavailableError(f"{error}; --crop centre needs none of it") from error
        face = choose_face(shown(source), detector(picture), job.face)
        fitted, facts["face"] = cut_face(shown(source), picture, face, generator.resolution)
    else:
        box = square_crop(picture, crop if isinstance(crop, tuple) else None)
        facts["crop"] = list(box)
        fitted = crop_to(picture, box, (generator.resolution, generator.resolution))
    facts["projected_size"] = list(fitted.size)
    return to_tensor(fitted), facts


def default_crop(generator: Generator, picture: Image.Image, face: int | None) -> Crop:
    """The face where one is asked for, or the generator knows aligned faces and the photograph is not square already;
    else the centre."""
    model = MODELS.get(generator.name)
    aligned = model is not None and model.aligned and picture.width != picture.height
    return "face" if face is not None or aligned else "centre"


def project_file(
    generator: Generator,
    source: Path,
    folder: Path,
    name: str,
    job: ProjectionJob,
    *,
    init: Latent | str | None = None,
    encoder: Encoder | None = None,
    callback: Callable[[Step], object] | None = None,
) -> dict[str, Any]:
    """Project one photograph and write its files into `folder`; the report that is also NAME.json.

    `init` is a latent or the name of a start (:func:`invert.project`); an `encoder` makes one from each photograph.
    """
    target, facts = load_target(generator, source, job)
    if encoder is not None:
        init = encoder_start(generator, target, job.space, encoder)
    asked, cropped, reported = distance_names(job.settings)
    frames: list[Tensor] = []
    result = project(
        generator,
        target,
        job.space,
        settings=job.settings,
        init=init,
        perceptual=distance(asked, generator, job.trunk) if asked else None,
        crop_perceptual=distance(cropped, generator) if cropped else None,
        seed=job.seed,
        callback=chain(callback, frame_collector(frames) if job.progress_format else None),
    )
    paths = OutputPaths.of(folder, name)
    distances = [distance(name, generator) for name in reported]
    seconds = [step.seconds for step in result.history]
    report = {
        "image": facts,
        "space": str(job.space),
        "generator": {"name": generator.name, "fingerprint": generator.fingerprint},
        "settings": asdict(job.settings),
        "seed": job.seed,
        "start": "encoder" if encoder is not None else result.latent.metadata["projection"]["start"],
        "best_step": result.best_step,
        "stop_reason": result.stop_reason,
        "seconds_per_step": seconds[-1] / (len(seconds) - 1) if len(seconds) > 1 else None,
        "metrics": projection_metrics(generator, result.latent, result.image, target, distances),
        "files": {key: str(path) for key, path in asdict(paths).items()},
    }
    latent = result.latent.replace(metadata={**result.latent.metadata, "image": facts})
    write_projection(paths, latent, result.image, target, report)
    if job.progress_format:
        write_animation([to_images(f)[0] for f in frames], folder / f"{name}.progress.{job.progress_format}", fps=12)
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
