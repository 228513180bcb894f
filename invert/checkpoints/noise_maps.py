"""Noise maps for files without them: older rosinality code did not save them, and some exports drop
buffers.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from invert.checkpoints.checkpoint import Checkpoint
from invert.networks.stylegan2_tensors import resolutions

SEED = 0
MAX_SIDE = 2_048  # a small file cannot ask for more


def with_noise_maps(checkpoint: Checkpoint) -> Checkpoint:
    """`checkpoint` with a map ~ N(0, 1) from a fixed seed for every layer that has a noise strength
    and no map.
    """
    tensors = dict(checkpoint.tensors)
    drawn = _draw(tensors)
    missing = [name for name in drawn if name not in tensors]
    if not missing:
        return checkpoint
    tensors |= {name: drawn[name] for name in missing}
    note = f"{len(missing)} of {len(drawn)} noise maps are not in the file; they are drawn from seed {SEED}"
    return dataclasses.replace(
        checkpoint,
        tensors=tensors,
        details={
            **checkpoint.details,
            "assumed": {**checkpoint.details.get("assumed", {}), "noise_maps": note},
        },
        doubts={**checkpoint.doubts, "noise_maps": note},
    )


def _draw(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name → map [H, W] of every layer with a noise strength, in the order of the layers."""
    const, sides = tensors.get("synthesis.b4.const"), resolutions(tensors)
    if (
        const is None
        or const.ndim != 3
        or not sides
        or max(const.shape[1:]) * sides[-1] // 4 > MAX_SIDE
    ):
        return {}
    generator = torch.Generator().manual_seed(SEED)
    drawn = {}
    for r in sides:
        for conv in ("conv0", "conv1"):
            layer = f"synthesis.b{r}.{conv}"
            if f"{layer}.noise_strength" in tensors:
                shape = [side * r // 4 for side in const.shape[1:]]
                drawn[f"{layer}.noise_const"] = torch.randn(shape, generator=generator)
    return drawn
