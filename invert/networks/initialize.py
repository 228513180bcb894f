"""The tensors of a StyleGAN2 before training, for training and for tests and benchmarks."""

from __future__ import annotations

import torch
from torch import Tensor

from invert.networks.network import Size
from invert.networks.stylegan2 import DEFAULT_LR_MULTIPLIER
from invert.networks.stylegan2_tensors import size_at


def untrained_stylegan2(
    resolution: int,
    *,
    channel_base: int = 32768,
    channel_max: int = 512,
    z_dim: int = 512,
    w_dim: int = 512,
    c_dim: int = 0,
    mapping_layers: int = 8,
    mapping_lr_multiplier: float = DEFAULT_LR_MULTIPLIER,
    noise_strength: float = 0.0,
    start: Size = (4, 4),
    seed: int = 0,
) -> dict[str, Tensor]:
    """Canonical StyleGAN2 tensors, initialized like those of StyleGAN2-ADA-PyTorch.

    Weights are normal, biases zero, styles 1. The width at resolution r is
    min(channel_base / r, channel_max); config-f is the default. `noise_strength` is 0 when training
    begins; a little of it makes noise matter in tests. Images have the shape of `start`, the
    constant's (height, width), times resolution / 4.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    # Mapping network: the embedded label, then fully connected layers.
    t: dict[str, Tensor] = {"mapping.w_avg": torch.zeros(w_dim)}
    width = z_dim
    if c_dim:
        t["mapping.embed.weight"] = normal(w_dim, c_dim)
        t["mapping.embed.bias"] = torch.zeros(w_dim)
        width += w_dim
    for k in range(mapping_layers):
        t[f"mapping.fc{k}.weight"] = normal(w_dim, width) / mapping_lr_multiplier
        t[f"mapping.fc{k}.bias"] = torch.zeros(w_dim)
        width = w_dim

    # Synthesis network: the constant, then two convolutions and a torgb per resolution.
    channels = min(channel_base // 4, channel_max)
    t["synthesis.b4.const"] = normal(channels, *start)
    r = 4
    while r <= resolution:
        out = min(channel_base // r, channel_max)

        for conv in ("conv0", "conv1")[r == 4 :]:
            p = f"synthesis.b{r}.{conv}."
            t |= {p + "weight": normal(out, channels, 3, 3), p + "bias": torch.zeros(out)}
            t[p + "affine.weight"] = normal(channels, w_dim)
            t[p + "affine.bias"] = torch.ones(channels)
            t[p + "noise_const"] = normal(*size_at(start, r))
            t[p + "noise_strength"] = torch.tensor(float(noise_strength))
            channels = out

        p = f"synthesis.b{r}.torgb."
        t |= {p + "weight": normal(3, out, 1, 1), p + "bias": torch.zeros(3)}
        t |= {p + "affine.weight": normal(out, w_dim), p + "affine.bias": torch.ones(out)}
        r *= 2

    return t
