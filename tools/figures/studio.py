"""What every figure script has at hand: the generator, projections, distances and face nets, and
its command.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import click
import torch
from faces import FaceNets
from projections import Projected, Projections, default_start, defaults_mark
from record import Figure, write_record
from torch import Tensor

import invert
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.metrics.perceptual import PerceptualDistance, load_perceptual
from invert.metrics.reconstruction import projection_metrics, reconstruction_metrics
from invert.projection.initialization import InitName
from invert.projection.settings import preset

DISTANCES = ("st-lpips-vgg", "st-lpips-alex", "lpips-vgg", "lpips-alex")
MAIN = DISTANCES[0]  # what pictures are labelled with
# [S] measures LPIPS and does not name its backbone; StyleGAN2's projector has VGG16
LPIPS = DISTANCES[2]
START_STEPS = 100  # of a two-stage start; short projections spend a third on it
QUICK_STEPS = 5
QUICK_COUNT = 2

FACES = "ffhq-mobile"  # the generator of figures that name no other
DOCS = Path("docs/figures")
QUICK_OUT = Path("out/figures/quick")
KEPT = Path("out/figures/projections")


@dataclass
class Studio:
    """One generator and what figures do with it. `quick` makes everything short, to see that it
    runs.
    """

    generator: Generator
    quick: bool = False
    kept: Path = KEPT
    packages: Path | None = None
    # results that several figures of one process use
    shared: dict[Any, Any] = field(default_factory=dict)
    defaults: str | None = None  # `defaults_mark` once something was projected
    edits: str | None = None  # `editing.edit_mark` once a point with F_i was edited

    def steps(self, count: int) -> int:
        return min(count, QUICK_STEPS) if self.quick else count

    def count(self, count: int) -> int:
        return min(count, QUICK_COUNT) if self.quick else count

    @property
    def distances(self) -> list[PerceptualDistance]:
        """ST-LPIPS and LPIPS, each with both backbones."""
        return loaded_distances()

    def distance(self, a: Tensor, b: Tensor) -> float:
        """ST-LPIPS-vgg of two images at 256 px."""
        return reconstruction_metrics(a, b, self.distances[:1])[DISTANCES[0]]

    @cached_property
    def nets(self) -> FaceNets:
        """The face nets. Raises :class:`UsageError` without the folder they are installed in."""
        if self.packages is None:
            raise UsageError(
                "this figure measures faces; give --packages FOLDER, see tools/label_faces.mjs"
            )
        return FaceNets(self.packages)

    def project(
        self,
        image: Tensor,
        space: str,
        steps: int,
        *,
        dist_weight: float | None = None,
        init: Latent | InitName | None = None,
    ) -> Projected:
        """A projection with the default settings in `steps` updates in all: those of a two-stage
        start are counted.

        `dist_weight` is λ of [S] eq. 7.2 where it is not the default's.
        """
        self.defaults = defaults_mark()
        steps = self.steps(steps)
        settings = preset("fast", space).replace(half=False)  # the same on every processor
        if dist_weight is not None:
            settings = settings.replace(dist_weight=dist_weight)
        init = init or default_start(self.generator, image, space)
        start = min(START_STEPS, steps // 3) if init == "two-stage" else 0
        settings = settings.replace(steps=steps - start, init_steps=start)
        by_name = {distance.name: distance for distance in self.distances}
        return Projections(self.generator, self.kept).get(
            image, space, settings,
            init=init, perceptual=by_name[settings.perceptual],
            crop_perceptual=by_name[settings.crop_perceptual],
        )  # fmt: skip

    def measured(self, projected: Projected, target: Tensor) -> dict[str, Any]:
        """Distances, mse and psnr of a projection to its target, and Wasserstein distances by part,
        in one level.
        """
        found = projection_metrics(
            self.generator, projected.latent, projected.image, target, self.distances
        )
        wasserstein = found.pop("wasserstein")
        return {**found, **{f"wasserstein {part}": value for part, value in wasserstein.items()}}

    def opened(self, seed: int, space: str, *, psi: float = 0.7) -> Latent:
        """A generated picture as a point of a space."""
        return self.generator.sample(seed, psi=psi, space=space)

    def beside(self, network: str) -> Studio:
        """The studio with another generator."""
        return replace(self, generator=invert.load_generator(network), shared={})


@cache
def loaded_distances() -> list[PerceptualDistance]:
    """The distances of all studios, loaded once."""
    return [load_perceptual(name) for name in DISTANCES]


Draw = Callable[[Studio], Figure]


def options(function: Callable[..., None]) -> Callable[..., None]:
    """The options that all figure commands share."""
    folder = click.Path(path_type=Path, file_okay=False)
    for option in (
        click.option(
            "--packages",
            type=folder,
            help="Where the npm packages of tools/label_faces.mjs are installed.",
        ),
        click.option(
            "--kept",
            type=folder,
            default=KEPT,
            show_default=True,
            help="Folder of finished projections.",
        ),
        click.option("--network", help="Default: the one that the figure is about."),
        click.option("--quick", is_flag=True, help="A few steps and faces, to see that it runs."),
        click.option("--out", type=folder, help=f"{DOCS} by default, with --quick {QUICK_OUT}."),
    ):
        function = option(function)
    return function


def open_studio(network: str, quick: bool, kept: Path, packages: Path | None) -> Studio:
    invert.keep_large_blocks()
    return Studio(invert.load_generator(network), quick, kept, packages)


def make(studio: Studio, name: str, draw: Draw, out: Path | None) -> Path:
    """Draw a figure and write `NAME.jpg` and `NAME.json`; the picture's path."""
    out = out or (QUICK_OUT if studio.quick else DOCS)
    out.mkdir(parents=True, exist_ok=True)

    began = time.perf_counter()
    studio.defaults = studio.edits = None
    figure = draw(studio)
    picture = out / f"{name}.jpg"
    figure.sheet.save(picture)

    facts = {
        "figure": name,
        "quick": studio.quick,
        "generator": {
            "name": studio.generator.name,
            "fingerprint": studio.generator.fingerprint[:16],
        },
        "torch": torch.__version__,
        "projected with": studio.defaults,
        "edited with": studio.edits,
        "seconds": time.perf_counter() - began,  # without projections that were there already
    }
    write_record(out / f"{name}.json", figure, facts)
    return picture


def command(draw: Draw, network: str = FACES) -> click.Command:
    """The command of a figure script, named after its file; `network` is its generator."""
    of_figure = network
    path = Path(inspect.getfile(draw))

    @click.command(path.stem, help=f"Draw {path.stem} and write its numbers beside it.")
    @options
    def run(
        out: Path | None, quick: bool, network: str | None, kept: Path, packages: Path | None
    ) -> None:
        studio = open_studio(network or of_figure, quick, kept, packages)
        click.echo(make(studio, path.stem, draw, out))

    return run
