"""Noise that depends on seed, channel and place alone, and is white."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from invert.errors import UsageError
from invert.latent_maps.places import MAX_PLACE, PlacedNoise


def test_a_larger_window_contains_the_smaller_one() -> None:
    noise = PlacedNoise(3, 5)
    large = noise.window(3, (-70, 90), (-40, 130))
    small = noise.window(3, (-5, 40), (17, 66))
    assert torch.equal(small, large[:, 65:110, 57:106])


def test_a_channel_does_not_depend_on_how_many_are_drawn() -> None:
    noise = PlacedNoise(3)
    assert torch.equal(noise.window(2, (0, 40), (0, 40)), noise.window(7, (0, 40), (0, 40))[:2])


def test_values_are_those_of_earlier_versions() -> None:
    values = PlacedNoise(1, 2).window(2, (-1, 1), (31, 33)).flatten().tolist()
    assert values == pytest.approx(RECORDED, abs=1e-6)


RECORDED = [-0.15628068, -1.75274348, 0.77500772, -0.83604628]
RECORDED += [1.38838005, 0.35774097, -0.18078853, 1.55345857]


def test_values_are_standard_normal() -> None:
    values = PlacedNoise(7).window(4, (-256, 256), (-256, 256)).double().flatten()
    n = len(values)  # 2²⁰; each bound is five standard errors of a normal sample
    assert abs(values.mean()) < 5 / n**0.5
    assert abs(values.square().mean() - 1) < 5 * (2 / n) ** 0.5
    assert abs(values.pow(3).mean()) < 5 * (15 / n) ** 0.5
    assert abs(values.pow(4).mean() - 3) < 5 * (96 / n) ** 0.5
    assert stats.kstest(values[: 2**17].numpy(), "norm").pvalue > 1e-3
    assert values.abs().max() > 4.5


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """In standard errors of independent values."""
    return (a.double() * b.double()).mean().item() * a.numel() ** 0.5


def test_neighbours_channels_fields_and_seeds_are_independent() -> None:
    a = PlacedNoise(7, 1).window(2, (-200, 200), (-200, 200))
    for shift in ((0, 1), (1, 0), (1, 1), (0, 2), (0, 32), (32, 0)):
        moved = a.roll(shift, (1, 2))
        assert abs(correlation(a, moved)) < 5, shift
        # Squares too: Box and Muller's pairs share a radius before they are turned.
        assert abs(correlation(a.square() - 1, (moved.square() - 1) / 2)) < 5, shift
    assert abs(correlation(a[0], a[1])) < 5
    for other in (PlacedNoise(7, 2), PlacedNoise(8, 1), PlacedNoise(1, 7)):
        assert abs(correlation(a, other.window(2, (-200, 200), (-200, 200)))) < 5
    transposed = a.transpose(1, 2)
    off_diagonal = (a - transposed).square().sum() / (2 * a.numel())
    assert 0.98 < off_diagonal < 1.01  # rows and columns of blocks are not exchanged


@pytest.mark.parametrize(
    ("rows", "columns", "channels"),
    [
        ((3, 3), (0, 1), 1),
        ((0, 1), (2, 1), 1),
        ((0, 1), (0, 1), 0),
        ((0, MAX_PLACE + 1), (0, 1), 1),
    ],
)
def test_windows_without_cells_or_too_far_away_are_refused(
    rows: tuple[int, int], columns: tuple[int, int], channels: int
) -> None:
    with pytest.raises(UsageError, match="expected a window of at least 1×1 cells"):
        PlacedNoise(0).window(channels, rows, columns)


def test_seeds_beyond_32_bits_are_refused() -> None:
    with pytest.raises(UsageError, match="seed is an integer"):
        PlacedNoise(2**32)
    with pytest.raises(UsageError, match="field is an integer"):
        PlacedNoise(0, -1)
