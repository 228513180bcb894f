"""The W space of a generator, which is that of its mapping network.

What is known of a W space holds for all its generators: that of StyleGAN2 FFHQ, official,
fine-tuned or distilled, knows faces as FFHQ aligns them, and the directions of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from invert.checkpoints import fingerprint

if TYPE_CHECKING:
    from invert.generator import Generator

FFHQ = "ffhq"
# The first values of w for seed 0. Copies fold and round the weights differently, so values are
# compared, not hashes.
PROBES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        FFHQ: (
            0.1942,
            -0.1380,
            1.1572,
            0.0317,
            0.1874,
            -0.4087,
            -0.1042,
            -0.1642,
            0.5130,
            -0.0883,
            -0.2490,
            -0.0356,
        )
    }
)
PROBE_TOLERANCE = 0.02  # one component of w has a standard deviation of 0.4


def w_space_name(generator: Generator) -> str:
    """The name of a generator's W space; equal for all generators with the same mapping network."""
    if generator.c_dim == 0:
        w = generator.sample(0).style_tensor()
        for name, values in PROBES.items():
            probe = torch.tensor(values, dtype=w.dtype, device=w.device)
            if w.shape[1] >= len(probe) and bool(
                ((w[0, : len(probe)] - probe).abs() < PROBE_TOLERANCE).all()
            ):
                return name
    return "mapping-" + fingerprint(generator.network.mapping.state_dict(), {})[:16]


def knows_aligned_faces(generator: Generator) -> bool:
    """Whether the generator knows faces as FFHQ places them, and nothing else."""
    return w_space_name(generator) == FFHQ
