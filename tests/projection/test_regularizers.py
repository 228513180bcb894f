"""Each regularizer is its equation, and does what it is for."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import wasserstein_distance

from invert.latents.distributions import ascending, group_means, wasserstein
from invert.projection.regularizers import (
    distribution_regularization,
    noise_regularization,
    standardize,
)
from invert.projection.schedules import late_rise, warmup_cooldown


def test_noise_regularization_is_its_definition_on_two_levels() -> None:
    torch.manual_seed(0)
    n = torch.randn(1, 1, 16, 16)
    expected = 0.0
    for level in (n, torch.nn.functional.avg_pool2d(n, 2)):
        right = torch.stack([level[0, 0, :, k - 1] for k in range(level.shape[3])], 1)
        down = torch.stack([level[0, 0, k - 1] for k in range(level.shape[2])], 0)
        expected += (level[0, 0] * right).mean().item() ** 2 + (
            level[0, 0] * down
        ).mean().item() ** 2
    assert noise_regularization([n]).item() == pytest.approx(expected, rel=1e-5)


def test_a_picture_in_the_noise_costs_more_than_noise() -> None:
    torch.manual_seed(0)
    white = torch.randn(1, 1, 64, 64)
    smooth = torch.nn.functional.interpolate(torch.randn(1, 1, 8, 8), size=64, mode="bilinear")
    standardize([smooth])
    assert float(noise_regularization([smooth])) > 20 * float(noise_regularization([white]))


def test_small_maps_and_no_maps_cost_nothing() -> None:
    assert float(noise_regularization([torch.ones(1, 1, 4, 4)])) == 0
    assert float(noise_regularization([])) == 0


def test_standardize_works_per_map_and_sample() -> None:
    n = torch.randn(3, 1, 8, 16) * torch.tensor([1.0, 5, 0.1]).view(3, 1, 1, 1) + 7
    standardize([n])
    assert torch.allclose(n.mean((1, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(n.var((1, 2, 3), unbiased=False), torch.ones(3), atol=1e-4)


def test_group_means_average_equal_groups() -> None:
    ordered = torch.arange(12.0)
    assert group_means(ordered, 4).tolist() == [1, 4, 7, 10]
    assert group_means(ordered, 12).tolist() == ordered.tolist()


@pytest.mark.parametrize(("m", "n"), [(10, 4), (7, 3), (5, 10), (3, 7), (100, 99)])
def test_group_means_share_border_values_by_their_fraction(m: int, n: int) -> None:
    ordered = torch.randn(m, generator=torch.Generator().manual_seed(m)).sort().values.double()
    fine = ordered.repeat_interleave(n)  # a common multiple of both sizes
    assert torch.allclose(group_means(ordered, n), fine.view(n, m).mean(1))


def test_the_distribution_term_vanishes_for_any_order_of_the_target() -> None:
    ordered = torch.randn(64).sort().values
    shuffled = ordered[torch.randperm(64)].view(1, 4, 4, 4)
    assert distribution_regularization(shuffled, ordered).item() == 0
    assert distribution_regularization(shuffled + 1, ordered).item() == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_rows_are_sorted_each_and_gradients_go_back_to_their_places(dtype: torch.dtype) -> None:
    x = torch.randn(3, 40, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    found = ascending(x)
    assert torch.equal(found, x.sort(dim=1).values)

    places = torch.arange(40, dtype=dtype).expand(3, -1)
    (grad,) = torch.autograd.grad((found * places).sum(), x)
    if dtype != torch.bfloat16:  # its values are not all different
        assert torch.equal(grad, x.argsort(dim=1).argsort(dim=1).to(dtype))


def test_the_distribution_term_is_per_point() -> None:
    torch.manual_seed(0)
    ordered, x = torch.randn(64).sort().values, torch.randn(2, 64)
    both = distribution_regularization(x, ordered)
    each = [distribution_regularization(x[k : k + 1], ordered) for k in (0, 1)]
    assert both.tolist() == pytest.approx([e.item() for e in each])


def test_wasserstein_is_scipys() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, 50), (torch.randn(200) * 2 + 1).sort().values
    ours = wasserstein(x, y.repeat_interleave(1))
    assert ours[0].item() == pytest.approx(wasserstein_distance(x[0], y), rel=0.05)
    same = wasserstein(x, x[0].sort().values)
    assert same[0].item() == 0
    assert same[1].item() == pytest.approx(wasserstein_distance(x[1], x[0]), rel=1e-5)


def test_the_schedule_rises_linearly_and_falls_as_a_cosine() -> None:
    assert [warmup_cooldown(s, 250, 50, 0.0) for s in (0, 24, 49, 200, 250)] == [
        1 / 50,
        0.5,
        1,
        1,
        1,
    ]
    assert warmup_cooldown(0, 10, 0, 0.0) == 1
    assert warmup_cooldown(500, 1000, 50, 0.25) == 1
    assert warmup_cooldown(875, 1000, 50, 0.25) == pytest.approx(0.5)
    assert warmup_cooldown(1000, 1000, 50, 0.25) == pytest.approx(0, abs=1e-12)
    assert all(math.isfinite(warmup_cooldown(s, steps, 0, 1.0)) for s in (0, 1) for steps in (0, 1))


def test_a_weight_rises_between_45_and_75_percent_of_the_steps() -> None:
    found = [late_rise(step, 200, 0.2) for step in (0, 90, 120, 150, 200)]
    assert found == pytest.approx([0.2, 0.2, 0.6, 1, 1])
    assert late_rise(0, 0, 0.2) == 0.2
    assert {late_rise(step, 7, 1.0) for step in range(8)} == {1}


def test_maps_of_one_cell_and_constant_ones_stay_finite() -> None:
    maps = [torch.full((2, 1, 1, 1), 3.0), torch.full((2, 1, 4, 4), 3.0)]
    standardize(maps)
    assert maps[0].eq(3).all()
    assert maps[1].eq(0).all()
