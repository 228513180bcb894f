"""Likely W+ styles whose features approximate given F_i and R_i."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from invert import interrupts
from invert.generator import Generator
from invert.hardware.graphs import StepGraphs
from invert.hardware.precision import fast_steps, numbers
from invert.latents.layer_ranges import styles_inside
from invert.latents.spaces import Space
from invert.projection.adam import Adam, Group

RATE = 0.05  # of Adam, in standard deviations of W; falls linearly over the last half
PRIOR = 0.03  # weight of |y|², beside the unexplained share


def likely_styles(
    generator: Generator, space: Space, targets: Sequence[Tensor], steps: int
) -> tuple[Tensor, Tensor]:
    """Styles [M, n, w_dim] that explain `targets`, and the share [M] that they leave unexplained.

    `targets` are [F_i] or [F_i, R_i] of M images at the training size. The unexplained share is
    1 − R²: the squared error of F_i as a fraction of its variance over the image, plus that of
    R_i; 0 for a map that is constant. The styles minimize

        unexplained + PRIOR · mean y²,

    where y are the styles in standard deviations of W, one vector per layer, so that W+ points far
    from W cost more. n is the number of styles that F_i and R_i depend on, at least 1.
    """
    # w = w_mean + y · Lᵀ, with L the Cholesky factor of W's covariance; y = 0 is the mean w.
    statistics = generator.statistics()
    shape = (len(targets[0]), styles_inside(generator.network, space), generator.w_dim)
    y = torch.zeros(shape, device=generator.device, dtype=generator.dtype, requires_grad=True)

    # Adam, with its usual β; the rate falls linearly over the last half.
    rates = numbers([RATE] * len(y), y.device)
    schedule = numbers([min(1.0, 2 * (1 - step / steps)) for step in range(steps)], y.device)
    adam = Adam([Group([y], rates)], 0.9, 0.999, steps)
    variances = [t.var(dim=(1, 2, 3)) for t in targets]
    variances = [v.masked_fill(v == 0, torch.inf) for v in variances]

    def unexplained() -> Tensor:
        maps = early_maps(generator, space, statistics.w_mean + y @ statistics.w_factor.T)
        shares = [
            (m - t).square().mean(dim=(1, 2, 3)) / variance
            for m, t, variance in zip(maps, targets, variances, strict=True)
        ]
        return torch.stack(shares).sum(0)

    factor = schedule[0].clone()

    def step() -> None:
        # Images share no variable, so the sum fits each on its own.
        loss = (unexplained() + PRIOR * y.square().mean(dim=(1, 2))).sum()
        adam.step(torch.autograd.grad(loss, [y]), factor)

    # Every step is the same but for the rate: a device with graphs records it.
    graphs = StepGraphs(y.device)
    with torch.enable_grad(), fast_steps():
        for each in schedule.unbind():
            interrupts.check()
            factor.copy_(each)
            graphs("step", step)

    with torch.no_grad():
        return statistics.w_mean + y @ statistics.w_factor.T, unexplained()


def early_maps(generator: Generator, space: Space, styles: Tensor) -> list[Tensor]:
    """[F_i] or [F_i, R_i] that styles [N, n, w_dim] make, with the generator's constant noise.

    `styles` may be all, or the first n on which F_i and R_i depend.
    """
    assert space.layer is not None
    return [t for t in generator.early_maps(styles, space.layer) if t is not None]
