"""The distance at one depth: the quick way is the way by definition, in value and gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from invert.metrics.unit_distance import mean_square, unit_distance, unit_length


def activations(samples: int = 2, targets: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Activations of 5 channels and 4×3 pixels, channels last, the heads' roots, and a target."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        t = torch.randn(shape, dtype=torch.float64, generator=random)
        return t.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else t

    x, root = normal(samples, 5, 4, 3), normal(5, 1, 1).abs()
    return x.requires_grad_(), root, unit_length(normal(targets, 5, 4, 3), root)


def by_definition(x: Tensor, root: Tensor, target: Tensor) -> Tensor:
    return mean_square(unit_length(x, root), target)


@pytest.mark.parametrize(("samples", "targets"), [(1, 1), (3, 3), (3, 1)])
def test_it_is_the_distance_by_definition(samples: int, targets: int) -> None:
    x, root, target = activations(samples, targets)
    found = unit_distance(x, root, target)
    torch.testing.assert_close(found, by_definition(x, root, target))
    assert found.shape == (samples,)


def test_its_gradient_is_that_of_differences() -> None:
    x, root, target = activations()
    assert torch.autograd.gradcheck(lambda x: unit_distance(x, root, target), x)


def test_where_nothing_is_active_the_gradient_is_that_of_the_definition() -> None:
    x, root, target = activations()
    with torch.no_grad():
        x[0, :, 1, 1] = 0
    weights = torch.tensor([0.5, 2.0], dtype=torch.float64)
    found, expected = (
        torch.autograd.grad((way(x, root, target) * weights).sum(), x)[0]
        for way in (unit_distance, by_definition)
    )
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    assert found.isfinite().all()


def test_in_bfloat16_it_is_the_definition() -> None:
    x, root, target = (t.detach().bfloat16() for t in activations())
    assert torch.equal(unit_distance(x, root, target), by_definition(x, root, target))
