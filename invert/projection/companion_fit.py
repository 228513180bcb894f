"""Likely W+ styles that make given F_i and R_i."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from invert import interrupts
from invert.generator import Generator
from invert.latents.layer_ranges import styles_inside
from invert.latents.spaces import Space

RATE = 0.05  # of Adam, in standard deviations of W; falls linearly over the last half
# weight of the mean squared deviation from W, in its standard deviations, beside the share missed
PRIOR = 0.03


def likely_styles(
    generator: Generator, space: Space, targets: Sequence[Tensor], steps: int
) -> tuple[Tensor, Tensor]:
    """Styles [M, n, w_dim] that explain `targets`, [F_i] or [F_i, R_i] of M images at the training
    size, and the share
    [M] of them that they miss.

    They minimize missed + PRIOR · |y|², where `missed` is the squared error of F_i (and R_i) as a
    share of its variance
    over the image, and y are the styles in standard deviations of W, one vector per layer, so that
    W+ points far from W
    cost more. n is the number of styles that F_i and R_i were made of, at least 1.
    """
    statistics = generator.statistics()
    spreads = [t.var(dim=(1, 2, 3)) for t in targets]
    shape = (len(targets[0]), styles_inside(generator.network, space), generator.w_dim)
    y = torch.zeros(shape, device=generator.device, dtype=generator.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([y], lr=RATE)
    fade = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, 2 * (1 - step / steps))
    )

    def missed() -> Tensor:
        made = early_maps(generator, space, statistics.w_mean + y @ statistics.w_factor.T)
        shares = [
            (m - t).square().mean(dim=(1, 2, 3)) / spread
            for m, t, spread in zip(made, targets, spreads, strict=True)
        ]
        return torch.stack(shares).sum(0)

    with torch.enable_grad():
        for _ in range(steps):
            interrupts.check()
            loss = (missed() + PRIOR * y.square().mean(dim=(1, 2))).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            fade.step()
    with torch.no_grad():
        return statistics.w_mean + y @ statistics.w_factor.T, missed()


def early_maps(generator: Generator, space: Space, styles: Tensor) -> list[Tensor]:
    """[F_i] or [F_i, R_i] of the first n styles, or all, [N, n, w_dim], with the generator's
    constant noise.
    """
    assert space.layer is not None
    network = generator.network
    noise = [network.noise_const(j) for j in range(1, space.layer)]
    start = network.start().expand(len(styles), -1, -1, -1)
    rows = list(styles.unbind(1))
    rows += rows[-1:] * (space.layer - len(rows))
    features, rgb = network.run(start, None, rows, noise, 1, space.layer)
    return [t for t in (features, rgb) if t is not None]
