"""What is kept is computed without TF32, and the process finds its flags as it left them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from networks import small_generator

from directions.direction import Direction, unit
from edits.along_direction import edit, move
from invert.encoders.encoder import new_encoder
from invert.hardware.precision import FLAGS, fast_steps, full_precision, widened
from invert.latents.statistics import map_distributions
from invert.metrics.perceptual import PerceptualDistance
from invert.metrics.reconstruction import reconstruction_metrics

KINDS: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn.conv]
GENERATOR = small_generator()
POINT = GENERATOR.sample(0, space="FNW5")
TILT = Direction("tilt", unit(torch.ones(32)), sigma=1.0)


@pytest.fixture(autouse=True)
def rounding() -> Iterator[None]:
    """TF32 is on for both kinds, as fast defaults have it."""
    before = flags()
    for kind in KINDS:
        kind.fp32_precision = "tf32"
    yield
    for kind, value in zip(KINDS, before, strict=True):
        kind.fp32_precision = value


def flags() -> list[str]:
    return [kind.fp32_precision for kind in KINDS]


def test_tf32_is_off_inside_and_as_before_afterwards() -> None:
    with full_precision():
        assert flags() == ["ieee", "ieee"]
        with full_precision():
            assert flags() == ["ieee", "ieee"]
        assert flags() == ["ieee", "ieee"]
    assert flags() == ["tf32", "tf32"]
    with suppress(ValueError), full_precision():
        raise ValueError
    assert flags() == ["tf32", "tf32"]


def test_what_is_exact_already_is_not_touched() -> None:
    torch.backends.cudnn.conv.fp32_precision = "none"
    with full_precision():
        assert flags() == ["ieee", "none"]
    assert flags() == ["tf32", "none"]
    with full_precision(False):
        assert flags() == ["tf32", "none"]


def test_flags_set_by_their_old_names_are_kept() -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    with full_precision():
        assert flags() == ["ieee", "ieee"]
    assert torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False


def test_steps_round_where_nothing_is_kept() -> None:
    for kind in KINDS:
        kind.fp32_precision = "ieee"
    with fast_steps():
        assert flags() == ["tf32", "tf32"]
        with full_precision():
            assert flags() == ["ieee", "ieee"]
        assert flags() == ["tf32", "tf32"]
    assert flags() == ["ieee", "ieee"]
    with full_precision(), fast_steps():
        assert flags() == ["ieee", "ieee"]
    with fast_steps(rounding=False):
        assert flags() == ["ieee", "ieee"]


def test_kernels_are_timed_in_steps_that_ask_for_it_only() -> None:
    assert not torch.backends.cudnn.benchmark
    with fast_steps(), fast_steps(tune=True):
        assert torch.backends.cudnn.benchmark
        with fast_steps():
            assert torch.backends.cudnn.benchmark
    with fast_steps():
        assert not torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.benchmark


def test_threads_that_overlap_leave_the_flags_as_they_were() -> None:
    torch.backends.cuda.matmul.fp32_precision = "none"
    before = flags()
    steps, exact = fast_steps(), full_precision()
    steps.__enter__()
    exact.__enter__()  # another thread renders
    steps.__exit__(None, None, None)
    assert flags() == ["none", "ieee"]
    exact.__exit__(None, None, None)
    assert flags() == before
    assert not FLAGS.wishes


def seen_by(module: torch.nn.Module, function: Callable[[], Any]) -> set[str]:
    """The flags under which a module runs while a function does."""
    found: set[str] = set()
    hook = module.register_forward_pre_hook(lambda *_: found.update(flags()))
    try:
        function()
    finally:
        hook.remove()
    return found


KEPT: dict[str, Callable[[], Any]] = {
    "render": lambda: GENERATOR.render(GENERATOR.sample(0)),
    "convert": lambda: GENERATOR.convert(GENERATOR.sample(0), "FNW5"),
    "move": lambda: move(GENERATOR, POINT, torch.ones(10, 32)),
    "edit": lambda: edit(GENERATOR, POINT, TILT, 1.0),
    "statistics": lambda: map_distributions(GENERATOR.network, 2),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_is_computed_without_tf32(name: str) -> None:
    assert seen_by(GENERATOR.network.convs[0], KEPT[name]) == {"ieee"}


def test_the_mapping_the_encoder_and_measurements_are_exact_too() -> None:
    image = GENERATOR.render(GENERATOR.sample(0))
    assert seen_by(GENERATOR.network.mapping, lambda: GENERATOR.sample(0)) == {"ieee"}
    encoder = new_encoder(GENERATOR, 5).eval()
    assert seen_by(encoder.style_head, lambda: encoder.encode(GENERATOR, image)) == {"ieee"}
    distance = PerceptualDistance("d", [torch.nn.Conv2d(3, 4, 3)], [torch.ones(4)])
    measured = seen_by(distance.stages[0], lambda: reconstruction_metrics(image, image, [distance]))
    assert measured == {"ieee"}


def test_steps_of_an_optimization_may_round() -> None:
    latent = GENERATOR.sample(0).map(torch.Tensor.requires_grad_)
    assert seen_by(GENERATOR.network.convs[0], lambda: GENERATOR.render(latent)) == {"tf32"}


def test_what_is_widened_is_float64() -> None:
    assert widened(torch.ones(3)).dtype == torch.float64
