"""Noise stays noise, masks keep their meaning at every size."""

from __future__ import annotations

import pytest
import torch
from networks import small_generator
from scipy.stats import kstest
from torch import Tensor

from edits.blending import blend_noise, correlation, resize_map
from edits.masks import at_size, check_mask, feathered, style_mask
from invert.errors import UsageError


def white(seed: int, side: int = 128) -> Tensor:
    return torch.randn(
        2, 1, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def ramp(side: int) -> Tensor:
    return torch.linspace(0, 1, side, dtype=torch.float64).expand(1, 1, side, side)


@pytest.mark.parametrize("side", [4, 16, 128])
def test_independent_noise_stays_standard_normal_at_every_mask_value(side: int) -> None:
    mixed = torch.cat(
        [
            blend_noise(white(2 * k, side), white(2 * k + 1, side), ramp(side))
            for k in range(400 // side)
        ]
    )
    assert kstest(mixed.flatten().numpy(), "norm").pvalue > 0.01
    # where a plain mixture has a standard deviation of 0.71
    middle = mixed[..., 3 * side // 8 : 5 * side // 8]
    assert kstest(middle.flatten().numpy(), "norm").pvalue > 0.01


def test_noise_of_any_correlation_keeps_unit_variance() -> None:
    m = torch.full((1, 1, 1, 1), 0.5, dtype=torch.float64)
    a, other = white(0), white(1)
    for rho in (0.0, 0.3, 0.8):
        b = rho * a + (1 - rho**2) ** 0.5 * other
        assert correlation(a, b, m).flatten().tolist() == pytest.approx([rho, rho], abs=0.02)
        assert blend_noise(a, b, m).std().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("side", [2, 4, 64])
def test_a_noise_map_mixed_with_itself_is_unchanged(side: int) -> None:
    a = white(0, side)
    assert (blend_noise(a, a, ramp(side)) - a).abs().max() < 1e-12


def test_correlation_is_measured_where_the_mask_is_soft() -> None:
    a, b = white(0), white(1)
    b[..., :64] = a[..., :64]
    soft_left, soft_right = (
        torch.zeros(1, 1, 128, 128).double(),
        torch.zeros(1, 1, 128, 128).double(),
    )
    soft_left[..., 16:48], soft_right[..., 80:112] = 0.5, 0.5
    assert correlation(a, b, soft_left).flatten().tolist() == pytest.approx([1, 1])
    assert correlation(a, b, soft_right).flatten().tolist() == [0, 0]
    assert correlation(a, -a, soft_left).flatten().tolist() == [0, 0]


def test_noise_is_exactly_one_or_the_other_at_the_ends() -> None:
    a, b = white(0), white(1)
    m = torch.zeros(1, 1, 128, 128).double()
    m[..., 64:] = 1
    assert torch.equal(blend_noise(a, b, m), torch.cat([a[..., :64], b[..., 64:]], 3))
    silent = torch.zeros_like(a)
    assert torch.equal(blend_noise(silent, silent, ramp(128)), silent)


def test_feathering_makes_a_centred_ramp_of_the_asked_width() -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 32:] = 1
    soft = feathered(mask, 16)[0, 0, 10]
    assert torch.equal(soft[:24], torch.zeros(24))
    assert torch.equal(soft[40:], torch.ones(24))
    assert torch.allclose(soft[24:40].diff(), torch.full((15,), 1 / 17), atol=1e-6)
    assert (soft + soft.flip(0) - 1).abs().max() < 1e-6
    assert torch.equal(feathered(mask, 0), mask)


@pytest.mark.parametrize("width", [1, 7, 63, 1e4])
def test_feathering_keeps_full_and_empty_exact(width: float) -> None:
    for value in (0.0, 1.0):
        mask = torch.full((1, 1, 40, 64), value)
        assert torch.equal(feathered(mask, width), mask)


@pytest.mark.parametrize("width", [-1, float("nan"), float("inf")])
def test_impossible_feathers_are_refused(width: float) -> None:
    with pytest.raises(UsageError, match="feather is a width"):
        feathered(torch.ones(1, 1, 8, 8), width)


def test_a_mask_at_a_maps_size_is_the_covered_share_of_each_cell() -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :20] = 1
    assert at_size(mask, (4, 4))[0, 0, 0].tolist() == [1, 0.25, 0, 0]


def test_a_uniform_mask_is_one_cell() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    kept = check_mask(torch.full((1, 1, 8, 8), 0.5), (8, 8), like)
    assert kept.shape == (1, 1, 1, 1)
    assert kept.dtype == torch.float64
    assert at_size(kept, (4, 4)) is kept


def test_style_masks_are_smoother_in_finer_layers() -> None:
    generator = small_generator(256)
    mask = torch.zeros(1, 1, 256, 256)
    mask[..., 128:] = 1
    ramps = {}
    for j in (5, 7, 9, 14):
        soft = style_mask(generator, mask, generator.layer(j), (256, 256))
        assert max(soft.shape[2:]) <= 32
        assert soft.min() == 0
        assert soft.max() == 1
        steps = resize_map(soft, (256, 256))[0, 0, 0].diff()
        assert steps.min() >= -1e-6
        ramps[j] = 1 / steps.max().item()  # px from 0 to 1 at the steepest
    assert ramps[5] == pytest.approx(16, rel=0.01)
    assert ramps[7] == pytest.approx(16, rel=0.3)
    assert ramps[9] == pytest.approx(32, rel=0.3)
    assert ramps[14] == ramps[9]
    wide = torch.zeros(1, 1, 256, 512)
    wide[..., 256:] = 1
    assert style_mask(generator, wide, generator.layer(9), (256, 512)).shape[2:] == (32, 64)
