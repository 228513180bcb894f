"""What the uses of a device start from: generators there, and what a user has on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from networks import small_checkpoint, small_map_checkpoint, small_mobile_tensors
from torch import Tensor

from directions.direction import Direction, unit
from edits.canvas import Placement, place
from invert.checkpoints import Checkpoint
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.loading import generator_from_checkpoint

SPACES = ("Z", "W", "W+", "NW+", "SW+", "FNW3", "FW5", "FNW5", "FNSW5")


@dataclass(frozen=True)
class World:
    """What a use has: generators on one device, and a user's tensors on the CPU."""

    device: torch.device
    folder: Path
    generator: Generator
    conditional: Generator
    mobile: Generator
    earth: Generator  # whose latent is a map

    def latent(self, space: str, seed: int = 0) -> Latent:
        """A point on the CPU, as `Latent.load` reads it."""
        return points()[space, seed]

    @property
    def image(self) -> Tensor:
        """[1, 3, 64, 64] on the CPU, as `to_tensor` makes it."""
        return points()["image", 0]

    @property
    def mask(self) -> Tensor:
        """[1, 1, 64, 64] with a hard edge, on the CPU, as `read_mask` makes it."""
        mask = torch.zeros(1, 1, 64, 64)
        mask[:, :, 10:40, 20:50] = 1
        return mask

    @property
    def direction(self) -> Direction:
        return Direction("tilt", unit(torch.randn(32, generator=seeded(3))), sigma=0.5)

    @property
    def canvas(self) -> Latent:
        """Two faces side by side, on the CPU."""
        left, right = self.latent("FNW5"), self.latent("FNW5", 1)
        placements = [Placement(left, (0, 0)), Placement(right, (16, 0))]
        return place(self.generator, (32, 16), placements).to("cpu")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def new_world(device: torch.device, folder: Path) -> World:
    mobile = Checkpoint("mobile-stylegan", "invert", {}, small_mobile_tensors(), {})
    checkpoints = (small_checkpoint(), small_checkpoint(c_dim=3), mobile, small_map_checkpoint())
    made = (generator_from_checkpoint(c, name="small", device=device) for c in checkpoints)
    return World(device, folder, *made)


POINTS: dict[tuple[str, int], Any] = {}


def points() -> dict[tuple[str, int], Any]:
    """Latents of all spaces and an image, made once on the CPU."""
    if not POINTS:
        generator = generator_from_checkpoint(small_checkpoint(), name="small")
        for space in SPACES:
            for seed in (0, 1, 2):
                POINTS[space, seed] = generator.sample(seed, space=space)
        POINTS["image", 0] = generator.render(generator.sample(3)).clamp(-1, 1)
    return POINTS
