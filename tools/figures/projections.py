"""Projections kept in a folder: figures share them, and a stopped run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from invert.commands.bars import progress_bar
from invert.encoders.encoder_files import bundled_encoders
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance
from invert.projection.initialization import InitName, find_encoder, possible_inits
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings, preset

KEY = "kept_projection"  # in the latent's metadata


@dataclass(frozen=True)
class Projected:
    """A projection, new or from the cache: its latent, the picture of it, and how it went."""

    latent: Latent
    image: Tensor
    seconds: float  # that it took when it was made
    start: str  # "encoder", "two-stage", "mean" or "latent"
    best_step: int
    stop_reason: str


@dataclass(frozen=True)
class Projections:
    """Projections of one generator in a folder; they are found again by everything that makes them
    differ.

    A change of the projector itself is not seen: empty the folder after one.
    """

    generator: Generator
    folder: Path

    def get(
        self,
        image: Tensor,
        space: str,
        settings: ProjectionSettings,
        *,
        init: Latent | InitName | None = None,
        seed: int = 0,
        perceptual: PerceptualDistance | None = None,
        crop_perceptual: PerceptualDistance | None = None,
    ) -> Projected:
        """The projection of `image` [1, 3, H, W] by `invert.project`, or the one in the folder.

        `perceptual` and `crop_perceptual` save loading what the settings name. An interrupted
        projection is not kept, and the interrupt goes on.
        """
        init = init or default_start(self.generator, image, space)
        key = projection_key(self.generator, image, space, settings, init, seed)

        path = self.folder / f"{key}.safetensors"
        if not path.exists():
            began = time.perf_counter()
            with progress_bar(f"{space} {key[:6]}") as bar:
                result = project(
                    self.generator, image, space, settings=settings, init=init,
                    perceptual=perceptual,
                    crop_perceptual=crop_perceptual, seed=seed, callback=bar,
                )  # fmt: skip
            if result.stop_reason == "interrupted":
                raise KeyboardInterrupt
            facts = {
                "seconds": time.perf_counter() - began,
                "start": init if isinstance(init, str) else "latent",
                "best_step": result.best_step,
                "stop_reason": result.stop_reason,
            }
            self.folder.mkdir(parents=True, exist_ok=True)
            result.latent.replace(metadata={**result.latent.metadata, KEY: facts}).save(path)
        latent = Latent.load(path)
        return Projected(latent, self.generator.render(latent), **latent.metadata[KEY])


@cache
def defaults_mark() -> str:
    """A short hash of what projections of figures depend on by default: settings and the encoders
    that come along.
    """
    presets = [asdict(preset("fast", space)) for space in ("NW+", "FNW5")]
    encoders = [file_digest(path) for path in sorted(bundled_encoders().values())]
    return hashlib.sha256(json.dumps([presets, encoders], sort_keys=True).encode()).hexdigest()[:12]


def default_start(generator: Generator, image: Tensor, space: str) -> InitName:
    """The encoder wherever there is one, so that spaces are compared from one start; else what
    `project` takes.
    """
    possible = possible_inits(generator, image, Space.parse(space))
    return "encoder" if "encoder" in possible else possible[0]


def projection_key(
    generator: Generator,
    image: Tensor,
    space: str,
    settings: ProjectionSettings,
    init: Latent | InitName,
    seed: int,
) -> str:
    """A hash of all that a projection depends on: generator, image, space, settings, init, seed."""

    # The init by its tensors, an encoder by its file.
    start: Any = init
    if isinstance(init, Latent):
        start = [str(init.space), *(digest(t) for t in init.tensors())]
    elif init == "encoder":
        path = find_encoder(generator, image, Space.parse(space))
        start = [init, path and file_digest(path)]
    facts = [
        generator.fingerprint,
        digest(image),
        str(Space.parse(space)),
        asdict(settings),
        start,
        seed,
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """A hash of the bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest(t: Tensor) -> str:
    """A hash of the values and shape of a tensor."""
    t = t.detach().cpu().contiguous()
    return hashlib.sha256(f"{t.dtype}{list(t.shape)}".encode() + t.numpy().tobytes()).hexdigest()
