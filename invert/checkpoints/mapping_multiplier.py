"""The mapping network's learning-rate multiplier, which scales its weights at run time and is
stored in few files.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from invert.networks.stylegan2 import DEFAULT_LR_MULTIPLIER

LIKELY = 3.0  # a factor; training moves the weights' scale by less


def mapping_multiplier(
    tensors: Mapping[str, Tensor],
    said: float | None,
    assumed: dict[str, str],
    doubts: dict[str, str],
) -> float:
    """What the file says, or the usual 0.01, noted in `assumed`; in `doubts` too where the weights
    contradict it.

    Weights start as N(0, 1) divided by the multiplier (StyleGAN2 and rosinality alike), so their
    scale tells it.
    """
    if said is not None:
        return said
    weights = [
        t.double().flatten()
        for name, t in tensors.items()
        if _is_layer(name) and t.is_floating_point()
    ]
    spread = float(torch.cat(weights).square().mean().sqrt()) if weights else 0.0
    looks_like = 1 / spread if spread > 0 else DEFAULT_LR_MULTIPLIER
    assumed["mapping_lr_multiplier"] = (
        f"{DEFAULT_LR_MULTIPLIER}, the usual one; the file does not say"
    )
    if not 1 / LIKELY < looks_like / DEFAULT_LR_MULTIPLIER < LIKELY:
        assumed["mapping_lr_multiplier"] += f", and the mapping weights look like {looks_like:.2g}"
        doubts["mapping_lr_multiplier"] = (
            f"the file does not say the mapping network's lr multiplier, and its weights look like {looks_like:.2g}; "
            f"{DEFAULT_LR_MULTIPLIER} is assumed (`invert convert-network --lr-multiplier X` writes it with another)"
        )
    return DEFAULT_LR_MULTIPLIER


def _is_layer(name: str) -> bool:
    return name.startswith("mapping.fc") and name.endswith(".weight")
