"""Noise maps for files without them.

Older rosinality code did not save them, and some exports drop buffers.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from invert.checkpoints.checkpoint import Checkpoint
from invert.networks.stylegan2_tensors import resolutions, size_at

SEED = 0
MAX_SIDE = 2_048  # cells; a small file cannot ask for more


def with_noise_maps(checkpoint: Checkpoint) -> Checkpoint:
    """`checkpoint` with seeded maps ~ N(0, 1) for layers that have a strength but no map."""
    tensors = dict(checkpoint.tensors)
    maps = _draw(tensors)
    missing = [name for name in maps if name not in tensors]
    if not missing:
        return checkpoint

    # What was assumed stands in the details and, as a warning, in the doubts.
    count = f"{len(missing)} of {len(maps)}"
    note = f"{count} noise maps are not in the file; they are drawn from seed {SEED}"
    assumed = {**checkpoint.details.get("assumed", {}), "noise_maps": note}
    return dataclasses.replace(
        checkpoint,
        tensors=tensors | {name: maps[name] for name in missing},
        details={**checkpoint.details, "assumed": assumed},
        doubts={**checkpoint.doubts, "noise_maps": note},
    )


def _draw(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name → map [H, W] of every layer with a noise strength, in the order of the layers."""
    const, sizes = tensors.get("synthesis.b4.const"), resolutions(tensors)
    if const is None or const.ndim != 3 or not sizes:
        return {}
    start = const.shape[1:]
    if max(size_at(start, sizes[-1])) > MAX_SIDE:
        return {}

    # All maps are drawn, so that a map does not depend on which others are missing.
    generator = torch.Generator().manual_seed(SEED)
    maps = {}
    for r in sizes:
        for conv in ("conv0", "conv1"):
            layer = f"synthesis.b{r}.{conv}"
            if f"{layer}.noise_strength" in tensors:
                maps[f"{layer}.noise_const"] = torch.randn(
                    size_at(start, r), generator=generator, dtype=torch.float32
                )
    return maps
