"""The companion of a point: likely W+ styles that make nearly its F_i, by which edits reach F_i."""

from __future__ import annotations

import torch
from torch import Tensor

from invert.errors import LatentError
from invert.generator import Generator
from invert.latents import Latent
from invert.layer_ranges import styles_inside
from invert.spaces import Space

STEPS = 300
RATE = 0.05  # of Adam, in standard deviations of W; falls linearly over the last half
PRIOR = 0.03  # weight of the mean squared deviation from W, in its standard deviations, beside the share missed
LARGEST = 32  # cells per side of F_i; a later one would take longer than its projection


def can_have_companion(generator: Generator, latent: Latent) -> bool:
    """Whether F_i is of the training size, and of one of the coarse and middle layers."""
    return latent.features is not None and latent.features.shape[2] <= LARGEST and at_training_size(generator, latent)


def at_training_size(generator: Generator, latent: Latent) -> bool:
    """Whether F_i of a latent has the size that any W+ styles make."""
    return generator.check(latent).features == generator.shapes(latent.space).features


def with_companion(generator: Generator, latent: Latent) -> Latent:
    """The latent with the companion that explains its F_i and R_i best among likely ones.

    The styles that F_i and R_i are made of minimize missed + PRIOR · |y|², where `missed` is the squared error of the
    companion's F_i (and R_i) as a share of its variance, and y are the styles in standard deviations of W, one vector
    per layer, so that W+ points far from W cost more. A start that was fitted to the image alone lies far out, and what
    edits do there is no guide. The companion's later styles are the latent's own. A few seconds on a CPU. Raises
    :class:`LatentError` where :func:`can_have_companion` is false.
    """
    if not can_have_companion(generator, latent):
        raise LatentError(
            f"{latent.space} has no companion at this size; expected F_i of the training size and at most "
            f"{LARGEST}×{LARGEST} cells"
        )
    latent = latent.detach().to(generator.device, generator.dtype)
    targets = [t for t in (latent.features, latent.rgb) if t is not None]
    spreads = [t.var(dim=(1, 2, 3)) for t in targets]
    statistics = generator.statistics()
    inside = styles_inside(generator, latent.space)
    if inside == 0:
        return latent.replace(companion=own_styles(latent))
    y = torch.zeros(len(latent), inside, generator.w_dim, device=generator.device, dtype=generator.dtype)
    y.requires_grad_()
    optimizer = torch.optim.Adam([y], lr=RATE)
    fade = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 2 * (1 - step / STEPS)))
    with torch.enable_grad():
        for _ in range(STEPS):
            made = early_maps(generator, latent.space, statistics.w_mean + y @ statistics.w_factor.T)
            missed = sum(
                (m - t).square().mean(dim=(1, 2, 3)) / spread
                for m, t, spread in zip(made, targets, spreads, strict=True)
            )
            loss = (missed + PRIOR * y.square().mean(dim=(1, 2))).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            fade.step()
    early = (statistics.w_mean + y @ statistics.w_factor.T).detach()
    return latent.replace(companion=torch.cat([early, own_styles(latent)[:, inside + 1 - latent.space.first :]], 1))


def ensure_companion(generator: Generator, latent: Latent) -> Latent:
    """The latent, :func:`with_companion` where it has none and can have one."""
    if latent.companion is None and can_have_companion(generator, latent):
        return with_companion(generator, latent)
    return latent


def early_maps(generator: Generator, space: Space, styles: Tensor) -> list[Tensor]:
    """[F_i] or [F_i, R_i] of the first n styles, or all, [N, n, w_dim], with the generator's constant noise."""
    assert space.layer is not None
    network = generator.network
    noise = [network.noise_const(j) for j in range(1, space.layer)]
    start = network.start().expand(len(styles), -1, -1, -1)
    rows = list(styles.unbind(1))
    rows += rows[-1:] * (space.layer - len(rows))
    features, rgb = network.run(start, None, rows, noise, 1, space.layer)
    return [t for t in (features, rgb) if t is not None]


def own_styles(latent: Latent) -> Tensor:
    """The latent's styles from layer i on as vectors [N, n, w_dim]; the means of maps."""
    return torch.stack([s if s.ndim == 2 else s.mean(dim=(2, 3)) for s in latent.style_list()], 1)
