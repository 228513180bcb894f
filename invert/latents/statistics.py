"""Statistics of a generator's latents: mean and covariance of w, values of styles, F_i and R_i."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from invert import interrupts
from invert.hardware.precision import full_precision, widened
from invert.latents.distributions import ascending
from invert.latents.early_maps import early_maps
from invert.networks.network import Size, SynthesisNetwork

W_SAMPLES = 10_000  # [K] appendix D
TARGET_SAMPLES = 4096  # [S] 7.2
# Larger maps are sampled less often, as each one gives more values and takes longer.
FULL_CELLS = 16 * 16
LEAST_SAMPLES = 256
VALUES_PER_SAMPLE = 4096  # of a map with more values, this many seeded positions stand for all
RIDGE = 1e-6  # of the mean variance, added to every variance: W may be flat in some direction
SEED = 0
MAX_CACHE_BYTES = 64 << 20
BATCH = 32


@dataclass(frozen=True)
class Statistics:
    """Statistics of W.

    w_mean    [w_dim]
    w_std     the root mean squared distance to w_mean ([K] appendix D)
    w_factor  [w_dim, w_dim], lower triangular: for standard normal y [w_dim], w_mean + w_factor · y
              has the mean and the covariance of W
    styles    the ascending values of 4096 w, all components together
    """

    w_mean: Tensor
    w_std: float
    w_factor: Tensor
    styles: Tensor


def w_statistics(network: SynthesisNetwork) -> Statistics:
    """Statistics of 10 000 w; conditional generators are sampled over all labels evenly."""
    w = sample_w(network, W_SAMPLES)
    mean = w.mean(0)
    std = (w - mean).square().sum(1).mean().sqrt().item()

    # Cholesky factor of the covariance, with a ridge as W may be flat in some direction.
    covariance = widened(w - mean).T.cov()
    least = RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance)).to(covariance)
    factor = torch.linalg.cholesky(covariance + least).to(w)

    return Statistics(mean, std, factor, ascending(w[:TARGET_SAMPLES].view(1, -1))[0])


def sample_w(network: SynthesisNetwork, count: int) -> Tensor:
    """w [count, w_dim] of seeded z (and seeded random one-hot labels)."""
    return mapped(network, *random_z(network, count, torch.Generator().manual_seed(SEED)))


def central_z(network: SynthesisNetwork, center: Tensor) -> tuple[Tensor, Tensor | None]:
    """The z [1, z_dim], and its label, whose w is nearest to `center` [w_dim], of 10 000 seeded."""
    z, c = random_z(network, W_SAMPLES, torch.Generator().manual_seed(SEED))
    nearest = (mapped(network, z, c) - center).square().sum(1).argmin()[None]
    return z[nearest], None if c is None else c[nearest]


def mapped(network: SynthesisNetwork, z: Tensor, c: Tensor | None) -> Tensor:
    """w [N, w_dim] of many z and labels, some at a time."""
    with torch.inference_mode(), full_precision():
        w = torch.cat(
            [
                network.mapping(z[k], None if c is None else c[k])
                for k in torch.arange(len(z)).split(1024)
            ]
        )
    return w.clone()


def random_z(
    network: SynthesisNetwork, count: int, random: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """z [N, z_dim], then one-hot labels [N, c_dim]; None for labels without classes."""
    z = torch.randn(count, network.mapping.z_dim, generator=random, dtype=torch.float32)
    z = z.to(network.start())
    if not network.mapping.c_dim:
        return z, None
    index = torch.randint(network.mapping.c_dim, (count,), generator=random)
    return z, torch.nn.functional.one_hot(index, network.mapping.c_dim).to(z)


def map_distributions(network: SynthesisNetwork, layer: int) -> dict[str, Tensor]:
    """Ascending values of F_i and, where it exists, R_i over sampled latents, with constant noise.

    In a generator of FNZ_i the F_i with which it starts are sampled, too.
    :func:`map_samples` says how many latents are sampled.
    """
    w = sample_w(network, map_samples(network.layers[layer - 1].cells))
    draws = torch.Generator().manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    values: dict[str, list[Tensor]] = {"features": [], "rgb": []}
    with torch.inference_mode(), full_precision():
        for batch in w.split(BATCH):
            interrupts.check()
            start = network.sampled_start(len(batch), draws)
            x, rgb = early_maps(network, [batch], layer, start=start)
            for name, part in (("features", x), ("rgb", rgb)):
                if part is not None:
                    values[name].append(thin(part.flatten(1), generator))
    return {name: ascending(torch.cat(v).view(1, -1))[0].clone() for name, v in values.items() if v}


def map_samples(size: Size) -> int:
    """How many latents are sampled for the maps of a layer of `size` cells.

    4096 up to 16×16 cells, then fewer, but never below 256.
    """
    return max(LEAST_SAMPLES, TARGET_SAMPLES * FULL_CELLS // max(FULL_CELLS, size[0] * size[1]))


def thin(rows: Tensor, generator: torch.Generator) -> Tensor:
    """The rows at the same few thousand seeded positions; all of them when there are not more."""
    if rows.shape[1] <= VALUES_PER_SAMPLE:
        return rows
    return rows[:, torch.randperm(rows.shape[1], generator=generator)[:VALUES_PER_SAMPLE]]


def cached_map_distributions(
    network: SynthesisNetwork, layer: int, fingerprint: str, cache_dir: Path | None
) -> dict[str, Tensor]:
    """:func:`map_distributions` reduced to 65 536 values each, kept in the user's cache.

    There is one file per generator and layer. A cache that cannot be read or written is not an
    error: the values are computed again.
    """
    from platformdirs import user_cache_path
    from safetensors.torch import load

    from invert.checkpoints.safe_safetensors import save_safetensors
    from invert.errors import InvertError
    from invert.files.atomic_files import write_atomically
    from invert.files.regular_files import read_regular
    from invert.files.seals import KEY, PLACE, seal, seal_holds
    from invert.latents.distributions import group_means

    # The cache, if it is there and whole.
    folder = cache_dir or user_cache_path("invert")
    path = folder / "statistics" / f"{fingerprint[:32]}-layer{layer}.safetensors"
    try:
        data = read_regular(path, MAX_CACHE_BYTES)
        if seal_holds(data) is not False:
            return load(data)
    except Exception:  # missing or damaged alike: it can be made again
        pass

    # Compute the values, and keep them where that is possible.
    tables = {
        k: group_means(v, min(2**16, len(v))) for k, v in map_distributions(network, layer).items()
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sealed = seal(save_safetensors({KEY: PLACE}, tables))
        write_atomically(path, lambda f: f.write(sealed))
    except (InvertError, OSError):
        pass
    return tables
