"""Perceptual path length: the paths, the rule about extremes, and that a step's length is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import small_generator
from small_vgg import HEADS, small_vgg_tensors

from invert.errors import UsageError
from invert.metrics.backbones import vgg16_stages
from invert.metrics.generated import w_of
from invert.metrics.path_length import (
    PathSettings,
    path_lengths,
    perceptual_path_length,
    seen,
    slerp,
    step_ends,
    without_extremes,
)
from invert.metrics.perceptual import PerceptualDistance


def small_distance() -> PerceptualDistance:
    tensors = small_vgg_tensors()
    heads = [tensors[f"head{depth}"] for depth in range(len(HEADS))]
    return PerceptualDistance("lpips-vgg", vgg16_stages(tensors), heads)


def test_a_path_begins_at_the_sample_of_its_seed_and_leads_to_another_w() -> None:
    generator = small_generator(32, dtype=torch.float64)
    settings = PathSettings(epsilon=0.1)
    a, b = step_ends(generator, [3, 4], settings=settings)
    torch.testing.assert_close(w_of(a), generator.sample([3, 4]).styles)
    z = torch.from_numpy(np.random.RandomState(3).randn(2, generator.z_dim))
    w = generator.mapping(z)
    torch.testing.assert_close(w_of(b)[:1], w[:1] + 0.1 * (w[1:] - w[:1]))
    assert all(torch.equal(n, m) for n, m in zip(a.noise, b.noise, strict=True))


@pytest.mark.parametrize("space", ["W", "Z"])
def test_full_sampling_lies_on_the_path_at_a_place_of_the_seed(space: str) -> None:
    generator = small_generator(32, dtype=torch.float64)
    settings = PathSettings(space=space, sampling="full", epsilon=1e-3)
    a, b = step_ends(generator, [3], settings=settings)
    random = np.random.RandomState(3)
    z = torch.from_numpy(random.randn(2, generator.z_dim))
    t = random.random_sample()
    if space == "W":
        w = generator.mapping(z)
        expected = [w[:1] + s * (w[1:] - w[:1]) for s in (t, t + 1e-3)]
    else:
        expected = [
            generator.mapping(slerp(z[:1], z[1:], torch.tensor([[s]], dtype=z.dtype)))
            for s in (t, t + 1e-3)
        ]
    torch.testing.assert_close(torch.cat([w_of(a), w_of(b)]), torch.cat(expected))


def test_great_circles_have_unit_length_everywhere_and_even_speed() -> None:
    a, b = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    points = slerp(a[:1].expand(5, -1), b[:1].expand(5, -1), t)
    torch.testing.assert_close(points.norm(dim=1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(points[0], a[0] / a[0].norm())
    torch.testing.assert_close(points[-1], b[0] / b[0].norm())
    steps = (points[1:] - points[:-1]).norm(dim=1)
    torch.testing.assert_close(steps, steps[:1].expand(4))


def test_lengths_are_the_distance_over_the_squared_step() -> None:
    generator, distance = small_generator(32, dtype=torch.float64), small_distance().double()
    settings = PathSettings(epsilon=1e-3, noise="const")
    a, b = step_ends(generator, [5], settings=settings)
    expected = distance(generator.render(a), generator.render(b)) / 1e-6
    torch.testing.assert_close(path_lengths(generator, distance, [5], settings=settings), expected)


def test_a_length_is_the_same_for_any_small_step() -> None:
    generator, distance = small_generator(32, dtype=torch.float64), small_distance().double()
    found = [
        path_lengths(generator, distance, range(3), settings=PathSettings(epsilon=epsilon))
        for epsilon in (1e-4, 1e-5)
    ]
    torch.testing.assert_close(found[0], found[1], rtol=0.01, atol=0)


def test_a_length_in_single_precision_is_that_in_double_precision() -> None:
    single = path_lengths(small_generator(32), small_distance(), range(3))
    double = small_generator(32, dtype=torch.float64)
    # The random noise of both is drawn in float32.
    exact = path_lengths(double, small_distance().double(), range(3))
    torch.testing.assert_close(single, exact, rtol=0.02, atol=0)


def test_a_length_depends_on_its_seed_alone() -> None:
    generator, distance, done = small_generator(32), small_distance(), list[int]()
    together = path_lengths(generator, distance, [3, 4, 5], batch=2, callback=done.append)
    alone = path_lengths(generator, distance, [5])
    assert done == [2, 3]
    torch.testing.assert_close(together[2:], alone, rtol=1e-3, atol=0)


def test_the_crop_is_the_face_and_large_pictures_are_averaged() -> None:
    images = torch.arange(64.0).expand(1, 3, 64, 64) + 100 * torch.arange(64.0)[:, None]
    face = seen(images, crop=True)
    assert torch.equal(face, images[:, :, 24:56, 16:48])
    large = torch.rand(1, 3, 512, 512)
    averaged = torch.nn.functional.avg_pool2d(large, 2)
    torch.testing.assert_close(seen(large, crop=False), averaged)


def test_one_percent_at_either_end_is_left_out() -> None:
    lengths = torch.arange(1001, dtype=torch.float64).flip(0)
    kept = without_extremes(lengths)
    assert (kept.min(), kept.max(), len(kept)) == (10, 990, 981)
    assert perceptual_path_length(lengths) == 500
    lengths[0] = 1e9
    assert perceptual_path_length(lengths) == pytest.approx(500, abs=1)


@pytest.mark.parametrize(
    "wrong",
    [{"space": "W+"}, {"sampling": "middle"}, {"epsilon": 0.0}, {"epsilon": float("nan")}],
)
def test_settings_out_of_their_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"expected the space W or Z|epsilon is"):
        PathSettings(**wrong)
