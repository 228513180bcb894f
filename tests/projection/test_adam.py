"""Adam of a batch is torch's, image by image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from invert.hardware.precision import numbers
from invert.projection.adam import Adam, Group
from invert.projection.schedules import warmup_cooldown

CPU = torch.device("cpu")
STEPS = 12
FACTORS = [warmup_cooldown(step, STEPS, 4, 0.5) for step in range(STEPS)]


def leaves(images: int, seed: int = 0) -> list[Tensor]:
    """A map and a vector per image; their sizes are those of vector units, and odd ones."""
    random = torch.Generator().manual_seed(seed)
    shapes = ((images, 3, 16, 16), (images, 7))
    return [torch.randn(shape, generator=random).requires_grad_() for shape in shapes]


def gradients(tensors: list[Tensor], step: int) -> list[Tensor]:
    """Far from smooth, and of all sizes."""
    return [(t.detach() * (3.7 + step)).sin() * 10.0 ** (step % 5 - 3) for t in tensors]


def descend(tensors: list[Tensor], rates: list[list[float]], betas: tuple[float, float]) -> Adam:
    groups = [Group([t], numbers(rate, CPU)) for t, rate in zip(tensors, rates, strict=True)]
    adam = Adam(groups, *betas, STEPS)
    for step, factor in enumerate(FACTORS):
        adam.step(gradients(tensors, step), numbers([factor] * len(tensors[0]), CPU))
    return adam


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.9), (0.0, 0.5)])
def test_an_image_alone_moves_as_by_torchs_adam_bit_for_bit(betas: tuple[float, float]) -> None:
    ours, theirs = leaves(1), leaves(1)
    descend(ours, [[0.1], [0.037]], betas)

    groups = [{"params": [t], "rate": r} for t, r in zip(theirs, (0.1, 0.037), strict=True)]
    optimizer = torch.optim.Adam(groups, lr=0.1, betas=betas)
    for step, factor in enumerate(FACTORS):
        for t, gradient in zip(theirs, gradients(theirs, step), strict=True):
            t.grad = gradient
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * factor
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_images_of_a_batch_move_as_they_do_alone_each_at_its_own_rate() -> None:
    batch, rates = leaves(3), [[0.1, 0.05, 0.2], [0.03, 0.1, 0.01]]
    alone = [[t.detach()[k : k + 1].clone().requires_grad_() for t in batch] for k in range(3)]
    descend(batch, rates, (0.8, 0.9))
    for k, tensors in enumerate(alone):
        descend(tensors, [[rate[k]] for rate in rates], (0.8, 0.9))
        for whole, one in zip(batch, tensors, strict=True):
            assert torch.allclose(whole[k : k + 1], one, rtol=1e-6, atol=1e-7)


def test_an_image_that_forgets_begins_anew_and_the_others_go_on() -> None:
    tensors = leaves(2)
    adam = descend(tensors, [[0.1, 0.1], [0.1, 0.1]], (0.9, 0.999))
    kept = [m[1].clone() for m in adam.mean]
    adam.mean[0][0] = torch.nan  # as after an overflow
    adam.forget(torch.tensor([True, False]))
    assert adam.count.tolist() == [0, STEPS]
    assert all(not m[0].any() for m in (*adam.mean, *adam.square))
    assert all(torch.equal(m[1], before) for m, before in zip(adam.mean, kept, strict=True))


def test_more_updates_than_the_table_of_corrections_has_are_made() -> None:
    adam = Adam([Group(leaves(1), numbers([0.1], CPU))], 0.5, 0.5, updates=1000)
    assert len(adam.corrections) < 100
    assert adam.corrections[-1].tolist() == [1.0, 1.0]
    adam.count += 500
    before = adam.tensors[0].detach().clone()
    adam.step(gradients(adam.tensors, 0), numbers([1.0], CPU))
    assert not torch.equal(before, adam.tensors[0])
