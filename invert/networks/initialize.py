"""The tensors of a StyleGAN2 before training, for training and for tests and benchmarks."""

from __future__ import annotations

import torch
from torch import Tensor

from invert.errors import UsageError
from invert.latent_maps.filtered_noise import LatentMap
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
    first: int = 1,
    latent_map: LatentMap | None = None,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Canonical StyleGAN2 tensors, initialized like those of StyleGAN2-ADA-PyTorch.

    Weights are normal, biases zero, styles 1. The width at resolution r is
    min(channel_base / r, channel_max); config-f is the default. `noise_strength` is 0 when training
    begins; a little of it makes noise matter in tests. Images have the shape of `start`, the
    constant's (height, width), times resolution / 4.

    With `first` = i (3, 5, …) the layers before i do not exist, and F_i is sampled from
    `latent_map` ([S] chapter 8); the constant is one draw of it. Raises :class:`UsageError` for
    another i, and for a map without F_i's channels.
    """
    block = 4 << first // 2
    channels = width_at(block, channel_base, channel_max)
    check_start(first, block, resolution, channels, latent_map)
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float32)

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
    cells = size_at(start, block)
    t[f"synthesis.b{block}.const"] = (
        normal(channels, *cells)
        if latent_map is None
        else latent_map.sample(1, cells, generator)[0]
    )
    r = block
    while r <= resolution:
        out = width_at(r, channel_base, channel_max)

        for conv in ("conv0", "conv1")[r == block :]:
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

    # Zeros and ones are of torch's default dtype, which may be another.
    return {name: tensor.float() for name, tensor in t.items()}


def check_start(
    first: int, block: int, resolution: int, channels: int, latent_map: LatentMap | None
) -> None:
    """Raise :class:`UsageError` unless a network can start at layer `first`, from such a map."""
    if first < 1 or first % 2 == 0 or (first > 1 and block > resolution // 2):
        raise UsageError(
            f"a network of {resolution} px starts at an odd layer, at most half of its size wide; "
            f"got {first}"
        )
    if (first > 1) != (latent_map is not None):
        raise UsageError(f"a latent map is given with a first layer above 1, got layer {first}")
    if latent_map is not None and latent_map.channels != channels:
        raise UsageError(
            f"F_{first} has {channels} channels here, got a latent map of {latent_map.channels}"
        )


def width_at(resolution: int, channel_base: int, channel_max: int) -> int:
    """Channels of the layers at a resolution."""
    return min(channel_base // resolution, channel_max)
