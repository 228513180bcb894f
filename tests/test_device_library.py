"""Every public function on a second device, given what a user has on the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from networks import small_checkpoint
from simulated_device import simulated_device
from torch import Tensor

import invert.companions
from invert.generator import Generator
from invert.metrics import projection_metrics
from invert.projector import project
from invert.settings import preset
from invert.spaces import Space


@pytest.fixture(scope="module", autouse=True)
def device() -> Iterator[torch.device]:
    """The device, and a shorter search for companions than users want."""
    with simulated_device() as device, pytest.MonkeyPatch.context() as patch:
        patch.setattr(invert.companions, "STEPS", 4)
        yield device


@pytest.fixture(scope="module")
def generator(device: torch.device) -> Generator:
    """A 64 px StyleGAN2 on the device."""
    return Generator.from_checkpoint(small_checkpoint(), name="small", device=device)


@pytest.fixture(scope="module")
def image(generator: Generator) -> Tensor:
    """[1, 3, 64, 64] on the CPU, as `to_tensor` makes it."""
    return generator.render(generator.sample(3)).cpu().clamp(-1, 1)


@pytest.mark.parametrize("space", ["W", "NW+", "SW+", "FW5", "FNW5", "FNSW5"])
def test_an_image_of_the_cpu_is_projected(space: str, generator: Generator, image: Tensor) -> None:
    settings = preset("fast", Space.parse(space))
    quick = settings.replace(steps=2, init_steps=1, perceptual="none")
    result = project(generator, image, space, settings=quick)
    tensors = [result.image, *result.latent.tensors()]
    assert {t.device.type for t in tensors} == {"sim"}
    measured = projection_metrics(generator, result.latent, result.image, image, [])
    assert measured["mse"] > 0
