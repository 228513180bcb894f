"""Steps of projections on a second device: nothing waits for it, and results are the CPU's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from networks import small_checkpoint
from simulated_device import DEVICE, simulated_device
from torch import Tensor

from invert.generator import Generator
from invert.loading import generator_from_checkpoint
from invert.metrics.perceptual import PerceptualDistance
from invert.projection.companion_fit import early_maps, likely_styles
from invert.projection.descent import Descent
from invert.projection.objective import Networks, Objective
from invert.projection.optimization import Projection, Step, optimize
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings

SETTINGS = ProjectionSettings(
    steps=7,
    warmup=2,
    cooldown=0.5,
    companion_steps=3,
    mse_weight=1.0,
    crop_weight=0.1,
    crop_size=32,
    dist_weight=0.1,
    w_noise=0.05,
    report_every=3,
)


@pytest.fixture(scope="module", autouse=True)
def device() -> Iterator[None]:
    with simulated_device():
        yield


@pytest.fixture(scope="module")
def generators() -> dict[str, Generator]:
    """The same generator on the device and on the CPU."""
    checkpoint = small_checkpoint()
    return {
        name: generator_from_checkpoint(checkpoint, name="small", device=torch.device(name))
        for name in ("sim", "cpu")
    }


def photographs(count: int) -> Tensor:
    generator = generator_from_checkpoint(small_checkpoint(), name="small")
    return generator.render(generator.sample(range(5, 5 + count), psi=0.7), "random", seed=1)


def colours(generator: Generator) -> PerceptualDistance:
    distance = PerceptualDistance("colours", [torch.nn.Identity()], [torch.ones(3)])
    return distance.to(generator.device)


def new_objective(generator: Generator, images: Tensor) -> Objective:
    networks = Networks(generator, colours(generator), colours(generator))
    return Objective(generator, images.to(generator.device), networks, seed=3)


def optimized(
    generator: Generator, images: Tensor, space: str, settings: ProjectionSettings = SETTINGS
) -> list[Projection]:
    inits = [generator.sample(1, psi=0.5, space=space)] * len(images)
    return optimize(new_objective(generator, images), inits, settings)


@pytest.mark.parametrize("space", ["FNW5", "W+", "FNSW5"])
def test_a_batch_on_the_device_is_what_the_cpu_makes_of_each(
    space: str, generators: dict[str, Generator]
) -> None:
    images = photographs(3)
    batch = optimized(generators["sim"], images, space)
    for image, there in zip(images.split(1), batch, strict=True):
        [here] = optimized(generators["cpu"], image, space)
        assert there.image.device.type == "sim"
        assert there.best_step == here.best_step
        assert (there.image.cpu() - here.image).abs().max() < 2 / 255
        losses = zip(there.history, here.history, strict=True)
        assert all(a.loss == pytest.approx(b.loss, rel=1e-3) for a, b in losses)


@pytest.mark.parametrize("space", ["FNW5", "W", "NSW+"])
def test_no_step_waits_for_the_device(space: str, generators: dict[str, Generator]) -> None:
    generator, images = generators["sim"], photographs(2)
    objective = new_objective(generator, images)
    inits = [generator.sample(1, space=space)] * len(images)
    settings = SETTINGS.replace(patience=5)
    descent = Descent(objective, inits, settings)
    blocks = objective.inputs(descent.variables).blocks(4)

    descent.step(next(blocks)[0])  # the first one samples the distributions of generated points
    DEVICE.host_reads.clear()
    descent.step(next(blocks)[0])
    assert not DEVICE.host_reads


def test_a_search_for_companions_does_not_wait(generators: dict[str, Generator]) -> None:
    generator = generators["sim"]
    space = generator.sample(0, space="FNW5").space
    targets = early_maps(generator, space, generator.sample([1, 2], space="W+").style_tensor())
    likely_styles(generator, space, targets, steps=1)
    DEVICE.host_reads.clear()
    likely_styles(generator, space, targets, steps=3)
    assert not DEVICE.host_reads


@pytest.mark.parametrize("every", [1, 3, 100])
def test_the_result_does_not_depend_on_how_often_someone_looks(
    every: int, generators: dict[str, Generator]
) -> None:
    images = photographs(2)
    settings = SETTINGS.replace(steps=12, patience=2, warmup=0, lr=0.5, w_noise=0.0)
    wanted = optimized(generators["cpu"], images, "W+", settings)
    found = optimized(generators["sim"], images, "W+", settings.replace(report_every=every))
    assert [p.stop_reason for p in found] == [p.stop_reason for p in wanted]
    assert [p.best_step for p in found] == [p.best_step for p in wanted]
    assert [len(p.history) for p in found] == [len(p.history) for p in wanted]


def test_the_host_reads_once_in_some_steps(generators: dict[str, Generator]) -> None:
    images = photographs(2)
    optimized(generators["sim"], images, "FNW5")  # fills the caches
    reads = []
    for steps in (5, 11):
        DEVICE.host_reads.clear()
        optimized(generators["sim"], images, "FNW5", SETTINGS.replace(steps=steps))
        reads.append(sum(DEVICE.host_reads.values()))
    assert reads[1] - reads[0] == 2  # 12 steps in 4 blocks of 3, in place of 6 in 2


def test_a_callback_gets_every_step_of_every_image_with_its_picture(
    generators: dict[str, Generator],
) -> None:
    seen: list[Step] = []
    images = photographs(2)
    found = project(
        generators["sim"],
        images,
        "FNW5",
        settings=SETTINGS,
        init="mean",
        perceptual=colours(generators["sim"]),
        crop_perceptual=colours(generators["sim"]),
        callback=seen.append,
    )
    assert sorted((s.index, s.step) for s in seen) == [
        (k, step) for k in (0, 1) for step in range(8)
    ]
    for step in seen:
        assert step.image is not None
        assert step.image.shape == (1, 3, 64, 64)
        error = (step.image.cpu() - images[step.index]).square().mean().item()
        assert step.mse == pytest.approx(error, rel=1e-3)
    assert all(p.latent.companion is not None for p in found)
