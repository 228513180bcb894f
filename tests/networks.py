"""Small generators for tests: real code, seeded random weights."""

from __future__ import annotations

import torch

from invert.checkpoints import Checkpoint
from invert.checkpoints.checkpoint import stylegan2_config
from invert.generator import Generator
from invert.latent_maps.kinds import new_latent_map
from invert.loading import generator_from_checkpoint
from invert.networks.initialize import untrained_stylegan2


def small_checkpoint(
    resolution: int = 64,
    *,
    c_dim: int = 0,
    seed: int = 0,
    w_dim: int = 32,
    start: tuple[int, int] = (4, 4),
) -> Checkpoint:
    """A StyleGAN2 of 32 channels with noise that shows."""
    tensors = untrained_stylegan2(
        resolution,
        channel_max=32,
        z_dim=w_dim,
        w_dim=w_dim,
        c_dim=c_dim,
        mapping_layers=2,
        noise_strength=0.1,
        start=start,
        seed=seed,
    )
    tensors = {name: t * 0.5 if ".torgb.weight" in name else t for name, t in tensors.items()}
    config = {"conv_clamp": None, "mapping_lr_multiplier": 0.01, "resample_filter": [1, 3, 3, 1]}
    return Checkpoint("stylegan2", "invert", config, tensors, {})


def small_map_checkpoint(
    first: int = 3, *, resolution: int = 64, kind: str = "blurred", start: tuple[int, int] = (4, 4)
) -> Checkpoint:
    """A generator of FNZ_i, as `small_checkpoint` is one of Z."""
    latent_map = new_latent_map(kind, 32, 4 << first // 2)
    tensors = untrained_stylegan2(
        resolution,
        channel_max=32,
        z_dim=32,
        w_dim=32,
        mapping_layers=2,
        noise_strength=0.1,
        first=first,
        latent_map=latent_map,
        start=start,
    )
    tensors = {name: t * 0.5 if ".torgb.weight" in name else t for name, t in tensors.items()}
    return Checkpoint("stylegan2", "invert", stylegan2_config(latent_map=latent_map), tensors, {})


def small_map_generator(
    first: int = 3, *, resolution: int = 64, dtype: torch.dtype = torch.float32
) -> Generator:
    checkpoint = small_map_checkpoint(first, resolution=resolution)
    return generator_from_checkpoint(checkpoint, name="small-map", dtype=dtype)


def small_generator(
    resolution: int = 64,
    *,
    c_dim: int = 0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    w_dim: int = 32,
    start: tuple[int, int] = (4, 4),
) -> Generator:
    checkpoint = small_checkpoint(resolution, c_dim=c_dim, seed=seed, w_dim=w_dim, start=start)
    return generator_from_checkpoint(checkpoint, name="small", dtype=dtype)


def small_mobile_tensors(
    seed: int = 0, channels: int = 16, w_dim: int = 32
) -> dict[str, torch.Tensor]:
    """A MobileStyleGAN of 7 layers and 64 px with the real one's structure."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return torch.randn(shape, generator=g) * scale

    t = {"mapping.w_avg": torch.zeros(w_dim), "synthesis.const": normal(1, channels, 4, 4)}
    for k in range(2):
        t |= {
            f"mapping.fc{k}.weight": normal(w_dim, w_dim, scale=w_dim**-0.5),
            f"mapping.fc{k}.bias": torch.zeros(w_dim),
        }
    side = 4
    for i in range(1, 8):
        p = f"synthesis.layer{i}."
        inside = channels
        if i % 2 == 0:
            side *= 2
            t |= {
                p + "up_affine.weight": normal(channels, w_dim, scale=0.2),
                p + "up_affine.bias": torch.ones(channels),
            }
            inside = channels // 4
        t |= {
            p + "affine.weight": normal(inside, w_dim, scale=0.2),
            p + "affine.bias": torch.ones(inside),
        }
        if i == 1:
            t[p + "weight"] = normal(channels, channels, 3, 3, scale=0.1)
        else:
            t[p + "depthwise.weight"] = normal(inside, 1, 3, 3, scale=0.5)
            t[p + "weight"] = normal(channels, inside, 1, 1, scale=inside**-0.5)
        noise = normal(side, side)
        t[p + "noise_const"] = (noise - noise.mean()) / noise.std(unbiased=False)
        t |= {p + "noise_strength": torch.tensor(0.1), p + "bias": normal(channels, scale=0.1)}
    t |= {
        "synthesis.head.affine.weight": normal(channels, w_dim, scale=0.2),
        "synthesis.head.affine.bias": torch.ones(channels),
    }
    t |= {
        "synthesis.head.weight": normal(12, channels, 1, 1, scale=0.2),
        "synthesis.head.bias": torch.zeros(12),
    }
    return t


def small_mobile(dtype: torch.dtype = torch.float32) -> Generator:
    checkpoint = Checkpoint("mobile-stylegan", "invert", {}, small_mobile_tensors(), {})
    return generator_from_checkpoint(checkpoint, name="small-mobile", dtype=dtype)
