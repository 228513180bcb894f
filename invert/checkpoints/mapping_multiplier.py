"""The learning-rate multiplier of the mapping network, which few files state.

It scales the weights at run time.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from invert.networks.stylegan2 import DEFAULT_LR_MULTIPLIER

LIKELY = 3.0  # a factor between the two multipliers; training moves the weights' scale by less


def mapping_multiplier(
    tensors: Mapping[str, Tensor],
    stated: float | None,
    assumed: dict[str, str],
    doubts: dict[str, str],
) -> float:
    """The multiplier that the file states, or the usual one, which is then noted in `assumed`.

    Weights begin as N(0, 1) divided by the multiplier (StyleGAN2 and rosinality alike), so their
    scale tells it. Where that contradicts the usual one, `doubts` say so.
    """
    if stated is not None:
        return stated
    usual = DEFAULT_LR_MULTIPLIER
    assumed["mapping_lr_multiplier"] = f"{usual}, the usual one; the file does not say"

    # The weights' scale.
    weights = [
        t.double().flatten()
        for name, t in tensors.items()
        if _is_layer(name) and t.is_floating_point()
    ]
    rms = float(torch.cat(weights).square().mean().sqrt()) if weights else 0.0
    looks_like = 1 / rms if rms > 0 else usual

    if not 1 / LIKELY < looks_like / usual < LIKELY:
        assumed["mapping_lr_multiplier"] += f", and the mapping weights look like {looks_like:.2g}"
        doubts["mapping_lr_multiplier"] = (
            "the file does not say the mapping network's lr multiplier, and its weights look like "
            f"{looks_like:.2g}; {usual} is assumed "
            "(`invert convert-network --lr-multiplier X` writes it with another)"
        )
    return usual


def _is_layer(name: str) -> bool:
    return name.startswith("mapping.fc") and name.endswith(".weight")
