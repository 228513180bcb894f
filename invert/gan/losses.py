"""The losses of StyleGAN2: non-saturating logistic, R1 and path length regularization."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PATH_DECAY = 0.01  # of the running mean of path lengths, per step that measures them


def generator_loss(fake: Tensor) -> Tensor:
    """−log σ(D(G(z))), mean over the logits: the non-saturating loss (Goodfellow 2014)."""
    return F.softplus(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """−log σ(D(x)) − log(1 − σ(D(G(z)))), each a mean over its logits."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """‖∇_x D(x)‖², mean over the real images [N, 3, H, W] (Mescheder et al. 2018).

    The loss is γ/2 times this. `images` need a gradient, and `logits` come from them.
    """
    [gradient] = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum([1, 2, 3]).mean()


def path_lengths(images: Tensor, styles: Tensor, random: torch.Generator) -> Tensor:
    """‖Jᵀ y‖ [N] for images y of normal noise, J = ∂G(w)/∂w ([K] section 3.2).

    `styles` are [N, num_ws, w_dim]; the square is summed over w and averaged over the layers, as in
    StyleGAN2-ADA. y is scaled by 1 / √(pixels), which makes lengths comparable over resolutions.
    """
    pixels = images.shape[2] * images.shape[3]
    y = torch.randn(images.shape, generator=random, dtype=torch.float32).to(images)
    y = y / math.sqrt(pixels)
    [gradient] = torch.autograd.grad((images * y).sum(), styles, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def path_penalty(lengths: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """(E (‖Jᵀ y‖ − a)², the new a), [K] eq. 4: a is the running mean of all lengths."""
    mean = mean.lerp(lengths.detach().mean(), PATH_DECAY)
    return (lengths - mean).square().mean(), mean
