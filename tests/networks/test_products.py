"""One matrix for all cells of a map: values, derivatives, and how the results lie in memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from invert.networks.products import cell_products


def inputs(maps: int = 2, matrices: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Maps of 4 channels and 2×3 cells, matrices to 5 channels, and a bias."""
    random = torch.Generator().manual_seed(0)
    shapes = ((maps, 4, 2, 3), (matrices, 5, 4), (5,))
    x, weights, bias = (
        torch.randn(shape, dtype=torch.float64, generator=random) for shape in shapes
    )
    return x.requires_grad_(), weights.requires_grad_(), bias


@pytest.mark.parametrize(("maps", "matrices"), [(2, 2), (1, 2), (2, 1)])
def test_each_sample_has_its_own_matrix_or_that_of_all(maps: int, matrices: int) -> None:
    x, weights, bias = inputs(maps, matrices)
    expected = torch.einsum("nkc,nchw->nkhw", weights.expand(2, -1, -1), x.expand(2, -1, -1, -1))
    torch.testing.assert_close(cell_products(x, weights, bias), expected + bias[:, None, None])


@pytest.mark.parametrize(("maps", "matrices"), [(2, 2), (1, 2), (2, 1)])
def test_derivatives_are_those_of_differences(maps: int, matrices: int) -> None:
    x, weights, bias = inputs(maps, matrices)
    assert torch.autograd.gradcheck(
        lambda x, weights: cell_products(x, weights, bias), (x, weights), check_forward_ad=True
    )


@pytest.mark.parametrize("wanted", [0, 1])
def test_one_gradient_alone_is_the_same(wanted: int) -> None:
    x, weights, bias = inputs()
    together = torch.autograd.grad(cell_products(x, weights, bias).square().sum(), (x, weights))
    alone = [t.detach() for t in (x, weights)]
    alone[wanted].requires_grad_()
    (found,) = torch.autograd.grad(cell_products(*alone, bias).square().sum(), alone[wanted])
    assert torch.equal(found, together[wanted])


def test_products_lie_in_planes_and_gradients_as_maps_do() -> None:
    x, weights, bias = inputs()
    products = cell_products(x, weights, bias)
    assert products.is_contiguous()
    (grad,) = torch.autograd.grad(products.sum(), x)
    assert grad.is_contiguous(memory_format=torch.channels_last)


def test_a_sample_does_not_depend_on_the_others() -> None:
    x, weights, bias = inputs()
    assert torch.equal(cell_products(x, weights, bias)[1:], cell_products(x[1:], weights[1:], bias))
