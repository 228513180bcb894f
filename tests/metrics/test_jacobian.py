"""The Jacobian with respect to w, against differences of pictures in float64."""

from __future__ import annotations

import pytest
import torch
from networks import small_generator, small_map_generator, small_mobile
from torch import Tensor

from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.conversion import entry
from invert.latents.latent import Latent
from invert.metrics.generated import sampled, w_of
from invert.metrics.jacobian import (
    jacobians,
    path_length,
    products,
    singular_values,
    transposed_products,
)

NETWORKS = {
    "stylegan2": lambda: small_generator(16, w_dim=8, dtype=torch.float64),
    "mobile": lambda: small_mobile(torch.float64),
    "latent map": lambda: small_map_generator(resolution=16, dtype=torch.float64),
}


def whole_jacobian(generator: Generator, latent: Latent) -> Tensor:
    """[3·H·W, w_dim] / √(H·W), by central differences of float64."""
    network = generator.network

    def image(w: Tensor) -> Tensor:
        first, x, rgb, styles = entry(network, latent)
        assert latent.noise is not None
        return network.synthesize(x, rgb, [w] * len(styles), [*latent.noise, None], first)

    step, w = 1e-6, w_of(latent)
    columns = [
        (image(w + step * e) - image(w - step * e)).flatten() / (2 * step)
        for e in torch.eye(w.shape[1], dtype=w.dtype)
    ]
    return torch.stack(columns, 1) / (generator.image_size[0] * generator.image_size[1]) ** 0.5


@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_those_of_the_jacobian(name: str) -> None:
    generator = NETWORKS[name]()
    latent = sampled(generator, [3])
    expected = whole_jacobian(generator, latent)
    random = torch.Generator().manual_seed(0)
    v = torch.randn(3, generator.w_dim, generator=random, dtype=torch.float64)
    y = torch.randn(2, len(expected), generator=random, dtype=torch.float64)
    torch.testing.assert_close(products(generator, latent, v), v @ expected.T, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(
        transposed_products(generator, latent, y), y @ expected, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", ["stylegan2", "mobile"])
def test_singular_values_are_those_of_the_whole_jacobian(name: str) -> None:
    generator = NETWORKS[name]()
    latent = sampled(generator, [3])
    expected = torch.linalg.svdvals(whole_jacobian(generator, latent))
    torch.testing.assert_close(singular_values(generator, latent), expected, rtol=1e-4, atol=1e-7)


def test_the_largest_singular_values_are_found_without_the_whole_jacobian() -> None:
    generator = small_generator(16, w_dim=32)
    latent = sampled(generator, [3])
    exact, found = singular_values(generator, latent), singular_values(generator, latent, rank=4)
    torch.testing.assert_close(found, exact[:4], rtol=0.01, atol=0)
    assert (found <= exact[:4] * (1 + 1e-5)).all()  # what a part of the range holds is less


def test_squared_path_lengths_average_to_the_squared_frobenius_norm() -> None:
    generator = small_generator(16, w_dim=8)
    latent = sampled(generator, [3])
    squares = torch.tensor([path_length(generator, latent, seed=k) ** 2 for k in range(60)])
    expected = singular_values(generator, latent).square().sum()
    error = squares.std() / len(squares) ** 0.5
    assert abs(squares.mean() - expected) < 4 * error


def test_each_point_depends_on_its_seed_alone() -> None:
    generator, done = small_generator(16, w_dim=8), list[int]()
    spectra, lengths = jacobians(generator, [3, 4], callback=done.append)
    alone = jacobians(generator, [4])
    assert (spectra.shape, lengths.shape, done) == ((2, 8), (2,), [1, 2])
    assert torch.equal(spectra[1:], alone[0])
    assert torch.equal(lengths[1:], alone[1])
    assert (spectra[:, :-1] >= spectra[:, 1:]).all()


def test_what_cannot_be_decomposed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = small_generator(16, w_dim=8)
    latent = sampled(generator, [3])
    with pytest.raises(UsageError, match=r"rank is an integer in \[1, 8\], got 9"):
        singular_values(generator, latent, rank=9)
    monkeypatch.setattr("invert.metrics.jacobian.MAX_VALUES", 1000)
    with pytest.raises(UsageError, match="a Jacobian of 768×8 values is too large to be whole"):
        singular_values(generator, latent)
