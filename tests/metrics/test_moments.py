"""Moments and the Fréchet distance: algebra, and parity with scipy's matrix root."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from small_vgg import small_features
from torch import Tensor

from invert.errors import UsageError
from invert.metrics.moments import Moments, frechet_distance
from invert.metrics.vgg16_features import vgg16_moments


def features(count: int, width: int = 12, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=random, dtype=torch.float64)
    x = torch.randn(count, width, generator=random, dtype=torch.float64) @ mixing
    return x + 3 * torch.randn(width, generator=random, dtype=torch.float64)


def test_moments_are_numpys_mean_and_covariance() -> None:
    x = features(50)
    moments = Moments.of(x)
    assert np.allclose(moments.mean, x.numpy().mean(0), rtol=0, atol=1e-12)
    assert np.allclose(moments.covariance, np.cov(x.numpy(), rowvar=False), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("cuts", [(1, 49), (7, 20), (25, 25)])
def test_moments_of_parts_merge_to_those_of_the_whole(cuts: tuple[int, int]) -> None:
    x = features(50) + 1e4  # a large mean, which one pass of sums of squares would not survive
    parts = [Moments.of(part) for part in x.tensor_split([cuts[0], sum(cuts) - 1]) if len(part)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merged(part)
    whole = Moments.of(x)
    assert merged.count == 50
    torch.testing.assert_close(merged.mean, whole.mean, rtol=1e-14, atol=0)
    torch.testing.assert_close(merged.scatter, whole.scatter, rtol=1e-9, atol=1e-7)


def test_float32_features_are_summed_in_float64() -> None:
    x = (features(1000) + 1000).float()
    assert torch.equal(Moments.of(x).mean, x.double().mean(0))


@pytest.mark.parametrize("count", [200, 8])
def test_the_distance_is_that_of_scipys_matrix_root(count: int) -> None:
    a, b = features(200), features(count, seed=1)
    cov_a, cov_b = (np.cov(x.numpy(), rowvar=False) for x in (a, b))
    shift = a.numpy().mean(0) - b.numpy().mean(0)
    root = scipy.linalg.sqrtm(cov_a @ cov_b)
    expected = shift @ shift + np.trace(cov_a + cov_b - 2 * np.real(root))
    # Of 8 vectors of 12 values the covariance is singular, and scipy's root is the one that errs.
    tolerance = 1e-9 if count > 12 else 1e-5
    found = frechet_distance(Moments.of(a), Moments.of(b))
    assert found == pytest.approx(expected, rel=tolerance)


def test_the_distance_of_a_set_from_itself_is_zero_and_that_of_two_is_symmetric() -> None:
    a, b = Moments.of(features(100)), Moments.of(features(5, seed=1))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10 * float(a.covariance.trace()))
    assert frechet_distance(b, b) == pytest.approx(0, abs=1e-6 * float(b.covariance.trace()))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


def test_the_distance_of_shifted_features_is_the_squared_shift() -> None:
    x = features(100)
    shift = torch.arange(12, dtype=torch.float64)
    found = frechet_distance(Moments.of(x), Moments.of(x + shift))
    assert found == pytest.approx(float(shift.square().sum()), rel=1e-9)


def test_the_distance_of_scaled_features_is_the_scaled_spread() -> None:
    x = features(100)
    centred = Moments.of(x - x.mean(0))
    found = frechet_distance(centred, Moments.of(3 * (x - x.mean(0))))
    assert found == pytest.approx(4 * float(centred.covariance.trace()), rel=1e-9)


def test_the_distance_of_pictures_grows_with_noise() -> None:
    random = torch.Generator().manual_seed(0)
    network = small_features()
    images = torch.nn.functional.interpolate(
        torch.rand(24, 3, 6, 6, generator=random) * 2 - 1, (32, 32), mode="bicubic"
    )
    noise = torch.randn(images.shape, generator=random)
    clean = vgg16_moments(images.split(8), network)
    found = [
        frechet_distance(clean, vgg16_moments((images + s * noise).split(8), network))
        for s in (0, 0.1, 0.3, 0.9)
    ]
    assert found[0] == pytest.approx(0, abs=1e-9)
    assert found == sorted(found)
    assert found[1] > 1e-4


def test_moments_of_pictures_do_not_depend_on_batches_and_go_on_from_others() -> None:
    random = torch.Generator().manual_seed(0)
    network = small_features()
    images = torch.rand(10, 3, 32, 40, generator=random) * 2 - 1
    whole = vgg16_moments([images], network)
    later = vgg16_moments(images[4:].split(3), network, so_far=vgg16_moments([images[:4]], network))
    assert (whole.count, whole.mean.shape) == (10, (8,))
    torch.testing.assert_close(later.mean, whole.mean, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(later.scatter, whole.scatter, rtol=1e-5, atol=1e-6)
    assert not whole.mean.is_inference()


def test_features_are_means_over_the_last_rectified_convolution() -> None:
    network = small_features()
    images = torch.rand(2, 3, 32, 48) * 2 - 1
    x = (images - network.shift) / network.scale
    for stage in network.stages:
        x = stage(x)
    assert x.shape == (2, 8, 2, 3)
    assert (x >= 0).all()
    torch.testing.assert_close(network(images), x.flatten(2).mean(2))
    assert network.facts["layer"] == "relu5_3, mean over space"


def test_what_has_no_moments_or_no_distance_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected features \[N, D\], N at least 1"):
        Moments.of(torch.zeros(0, 3))
    with pytest.raises(UsageError, match="got none"):
        vgg16_moments([], small_features())
    with pytest.raises(UsageError, match="at least 32 px a side"):
        vgg16_moments([torch.zeros(1, 3, 31, 64)], small_features())
    one, two = Moments.of(features(1)), Moments.of(features(2))
    with pytest.raises(UsageError, match="at least 2 pictures for a covariance, got 1"):
        frechet_distance(one, two)
    with pytest.raises(UsageError, match="expected moments of one network, got 12 and 4"):
        frechet_distance(two, Moments.of(features(2, 4)))
    with pytest.raises(UsageError, match="expected moments of 12 features, got those of 4"):
        two.merged(Moments.of(features(2, 4)))
    with pytest.raises(UsageError, match="not finite"):
        frechet_distance(two, Moments.of(features(2) * float("nan")))
