"""Distributions of F_i: unit variance, independence, and [S] algorithm 5 to the letter."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest
import torch

from invert.errors import ModelFileError, UsageError
from invert.latent_maps.blurred_noise import GaussianMap
from invert.latent_maps.kinds import KINDS, latent_map_from_config, new_latent_map

NAMES = [*KINDS, "blurred+polygons"]
DRAWS = 10_000
TOLERANCE = 6 / math.sqrt(DRAWS)  # six standard errors of a correlation of independent values


@cache
def drawn(name: str) -> torch.Tensor:
    """10 000 draws [N, 3, 1, 2] of a distribution for trainings on 4×4 cells."""
    latent_map = new_latent_map(name, 3, 4)
    return latent_map.sample(DRAWS, (1, 2), torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", NAMES)
def test_every_value_has_mean_0_and_variance_1(name: str) -> None:
    maps = drawn(name)
    assert maps.shape == (DRAWS, 3, 1, 2)
    assert maps.mean(0).abs().max() < TOLERANCE
    assert (maps.var(0) - 1).abs().max() < TOLERANCE * math.sqrt(2)


@pytest.mark.parametrize("name", NAMES)
def test_channels_and_draws_are_independent(name: str) -> None:
    maps = drawn(name)
    for values in (maps[:, :, 0, 1], maps[:, :, 0, 1].square()):
        apart = np.corrcoef(values.T.numpy()) - np.eye(3)
        assert np.abs(apart).max() < 2 * TOLERANCE
        following = np.corrcoef(values[:-1, 0].numpy(), values[1:, 0].numpy())[0, 1]
        assert abs(following) < 2 * TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_places_further_apart_than_the_reach_are_independent_and_near_ones_are_not(
    name: str,
) -> None:
    latent_map = new_latent_map(name, 2, 4)
    far = 2 * latent_map.margin + 1
    maps = latent_map.sample(DRAWS, (1, far + 1), torch.Generator().manual_seed(5))
    last = maps[:, -1, 0].numpy()  # of the channel that is smoothest
    assert abs(np.corrcoef(last[:, 0], last[:, far])[0, 1]) < TOLERANCE
    near = np.corrcoef(last[:, 0], last[:, 1])[0, 1]
    assert (abs(near) < TOLERANCE) if name == "normal" else (near > 0.1)


def test_blurred_noise_is_algorithm_5_by_direct_convolution() -> None:
    latent_map = GaussianMap(5, 1.3)
    k = latent_map.margin
    noise = torch.randn(1, 5, 6 + 2 * k, 3 + 2 * k, generator=torch.Generator().manual_seed(0))
    maps = latent_map.filter(noise.double())[0].numpy()

    # The algorithm in loops, with division by √ΣK² as theorem 2 asks.
    for i in range(5):
        sigma = i / 4 * 1.3
        kernel = np.zeros((2 * k + 1, 2 * k + 1))
        for a in range(-k, k + 1):
            for b in range(-k, k + 1):
                centre = float(a == b == 0)
                kernel[a + k, b + k] = (
                    math.exp(-(a * a + b * b) / (2 * sigma * sigma)) if sigma else centre
                )
        x = noise[0, i].double().numpy()
        for y in range(6):
            for z in range(3):
                patch = x[y : y + 2 * k + 1, z : z + 2 * k + 1][::-1, ::-1]
                expected = (patch * kernel).sum() / math.sqrt((kernel**2).sum())
                assert maps[i, y, z] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_window_of_a_larger_map_is_drawn_alone_from_its_noise(name: str) -> None:
    latent_map = new_latent_map(name, 6, 8)
    k = latent_map.margin
    noise = torch.randn(1, latent_map.noise_channels, 9 + 2 * k, 7 + 2 * k)
    whole = latent_map.filter(noise)
    window = latent_map.filter(noise[:, :, 3 : 3 + 4 + 2 * k, 2 : 2 + 5 + 2 * k])
    assert whole.shape == (1, 6, 9, 7)
    torch.testing.assert_close(window, whole[:, :, 3:7, 2:7], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["blurred", "box", "radial", "motion"])
def test_kernels_spread_by_their_sigma(name: str) -> None:
    latent_map = new_latent_map(name, 3, 16)
    kernels = latent_map.kernels()  # type: ignore[attr-defined]
    y, x = latent_map.offsets()  # type: ignore[attr-defined]
    share = kernels / kernels.sum((1, 2), keepdim=True)
    spread = (share * (y.square() + x.square())).sum((1, 2)).sqrt()
    axes = 1 if name == "motion" else 2
    assert spread[0] == 0  # the first channel stays white
    torch.testing.assert_close(spread[2], torch.tensor(4.0 * math.sqrt(axes)), rtol=0.1, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_distribution_survives_its_configuration(name: str) -> None:
    latent_map = new_latent_map(name, 8, 8)
    assert latent_map_from_config(json.loads(json.dumps(latent_map.config()))) == latent_map


def test_a_seed_gives_the_same_map() -> None:
    latent_map = new_latent_map("blurred", 4, 8)
    first, again, other = (
        latent_map.sample(1, (8, 8), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_unknown_names_and_configurations_are_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown latent map 'blured'.*did you mean blurred"):
        new_latent_map("blured", 4, 8)
    with pytest.raises(UsageError, match="learned latent maps stand alone"):
        new_latent_map("learned+normal", 4, 8)
    with pytest.raises(UsageError, match="need as many channels, got 1"):
        new_latent_map("blurred+normal", 1, 8)
    with pytest.raises(ModelFileError, match="should name its kind"):
        latent_map_from_config([])
    with pytest.raises(ModelFileError, match="unknown kind 'perlin'"):
        latent_map_from_config({"kind": "perlin", "channels": 4})
    with pytest.raises(ModelFileError, match="latent_map: sigma_max is a number in"):
        latent_map_from_config({"kind": "blurred", "channels": 4, "sigma_max": -1})
    with pytest.raises(ModelFileError, match="one per channel"):
        latent_map_from_config(
            {"kind": "learned", "channels": 4, "sigma_max": 2, "learned_sigmas": [1]}
        )
    with pytest.raises(ModelFileError, match="do not have the channels"):
        latent_map_from_config(
            {"kind": "mixed", "channels": 4, "parts": [{"kind": "normal", "channels": 3}]}
        )
