"""What moved by a known displacement is found to have moved so, and maps move as they are told."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from edits.optical_flow import BLUR, flow_between, gradients, optical_flow, warp

SIDE, WIDTH, CHANNELS = 16, 24, 8


def pattern(dx: Tensor | float = 0.0, dy: Tensor | float = 0.0, seed: int = 0) -> Tensor:
    """Smooth waves [1, CHANNELS, SIDE, WIDTH], moved right and down by cells."""
    g = torch.Generator().manual_seed(seed)
    fx, fy, phase = (torch.rand(CHANNELS, 1, 1, generator=g, dtype=torch.float64) for _ in range(3))
    y, x = torch.meshgrid(torch.arange(SIDE).double(), torch.arange(WIDTH).double(), indexing="ij")
    return torch.sin(
        0.9 * (fx - 0.5) * (x - dx) + 0.9 * (fy - 0.5) * (y - dy) + 2 * math.pi * phase
    )[None]


def inner(t: Tensor) -> Tensor:
    return t[..., 4:-4, 4:-4]


@pytest.mark.parametrize(("dx", "dy"), [(0.6, 0.0), (0.0, -0.6), (1.5, 1.0), (-2.0, 0.5)])
def test_a_known_displacement_is_found(dx: float, dy: float) -> None:
    path = [pattern(dx * k / 8, dy * k / 8) for k in range(9)]
    found = inner(optical_flow(path, damping=1e-3))
    assert (found[:, 0] - dx).abs().max() < 0.15
    assert (found[:, 1] - dy).abs().max() < 0.15
    held_back = inner(optical_flow(path))
    length = math.hypot(dx, dy)
    along = (held_back[:, 0] * dx + held_back[:, 1] * dy) / length
    assert 0.8 * length < along.mean() < length


def test_the_flow_has_the_least_energy() -> None:
    before, after = pattern(), pattern(0.4, -0.2) + 0.1 * pattern(seed=1)
    smoothness, damping = 0.2, 0.05
    flow = flow_between(before, after, smoothness, damping).requires_grad_()

    # (after − before + ∇before · flow)² in windows of 3×3 cells with one flow, weighted by taps.
    dx, dy, change = (
        F.unfold(F.pad(t, (1, 1, 1, 1), mode="replicate"), 3).unflatten(1, (CHANNELS, 9))
        for t in (*gradients(before), after - before)
    )
    fx, fy = flow.flatten(2)[:, :, None].split(1, 1)
    taps = torch.outer(torch.tensor(BLUR), torch.tensor(BLUR)).flatten()[:, None].double()
    data = (taps * (change + dx * fx + dy * fy).square()).sum()

    # α |∇flow|² + λ |flow|², with α and λ in mean squared gradients.
    unit = (taps * (dx.square() + dy.square())).sum((1, 2)).mean()
    smooth = flow.diff(dim=2).square().sum() + flow.diff(dim=3).square().sum()
    small = flow.square().sum()
    (slope,) = torch.autograd.grad(data + unit * (smoothness * smooth + damping * small), flow)

    (start,) = torch.autograd.grad((2 * taps * change * (dx * fx + dy * fy)).sum(), flow)
    assert slope.norm() < 1e-4 * start.norm()


def test_what_is_flat_moves_along_with_what_is_beside_it_and_less_far_away() -> None:
    # Something in the left half moves to the right, over nothing.
    columns = torch.arange(WIDTH).double()
    path = [
        pattern(dx) * torch.exp(-((columns - 6 - dx) / 3).square())
        for dx in (0.0, 0.2, 0.4, 0.6, 0.8)
    ]
    along = optical_flow(path, damping=1e-4)[0, 0, 4:-4]
    assert (along[:, 5:8] - 0.8).abs().max() < 0.2
    assert (along[:, 16:20] - 0.8).abs().max() < 0.3

    faded = optical_flow(path)[0, 0, 4:-4]
    assert (faded[:, 5:8] - 0.8).abs().max() < 0.3
    assert faded[:, 11].min() > 0.2
    assert faded[:, 18:].abs().max() < 0.05


def test_with_a_large_smoothness_all_cells_move_alike() -> None:
    found = flow_between(pattern(), pattern(0.4), smoothness=1e4, damping=0)
    assert found.std(dim=(2, 3)).max() < 0.01
    assert (found[:, 0].mean() - 0.4).abs() < 0.1


def test_with_a_large_damping_nothing_moves() -> None:
    assert flow_between(pattern(), pattern(0.4), smoothness=0.03, damping=1e9).abs().max() < 1e-8


def test_moving_by_what_was_found_brings_nearer() -> None:
    y, x = torch.meshgrid(
        torch.linspace(-2, 2, SIDE).double(), torch.linspace(-2, 2, WIDTH).double(), indexing="ij"
    )
    bump = 2 * torch.exp(-x.square() - y.square())  # the middle moves, the rest stays
    path = [pattern(bump * k / 4) for k in range(5)]
    found = optical_flow(path)
    away = (path[-1] - path[0]).square().mean()
    assert (path[-1] - warp(path[0], found)).square().mean() < 0.3 * away
    assert found[0, 0, SIDE // 2, WIDTH // 2] > 1
    assert found[0, :, :2, :2].abs().max() < 0.2


def test_what_does_not_change_does_not_move() -> None:
    t = pattern()
    assert not optical_flow([t, t, t]).any()
    assert not optical_flow([torch.zeros_like(t), torch.zeros_like(t)]).any()
    # without slopes nothing is seen to move
    assert not optical_flow([torch.ones_like(t), 2 * torch.ones_like(t)]).any()


def test_a_batch_moves_like_its_parts() -> None:
    paths = [[pattern(seed=s), pattern(0.5, 0.2, seed=s)] for s in (0, 1)]
    together = optical_flow([torch.cat(maps) for maps in zip(*paths, strict=True)])
    assert torch.allclose(together, torch.cat([optical_flow(path) for path in paths]), atol=1e-12)


def test_maps_of_another_size_move_by_as_much_of_theirs() -> None:
    t = pattern()
    large = F.interpolate(t, scale_factor=2, mode="nearest")
    right = t.new_zeros(1, 2, SIDE, WIDTH)
    right[:, 0] = 1
    assert torch.allclose(warp(t, right)[..., 1:], t[..., :-1])
    assert torch.allclose(warp(large, right)[..., 2:], large[..., :-2])
    assert torch.allclose(warp(t, torch.zeros_like(right)), t)
    assert torch.allclose(warp(t, right)[..., 0], t[..., 0])  # the border, drawn out
