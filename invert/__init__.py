"""Put a real photograph into a pretrained StyleGAN2 and change it there.

The names below are the public library; they are imported on first use, so `import invert` is
instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invert.errors import InvertError
    from invert.generator import Generator, load_generator
    from invert.hardware.allocator import keep_large_blocks
    from invert.images.image_files import ReadOptions
    from invert.latents.latent import Latent
    from invert.latents.spaces import Space
    from invert.metrics.perceptual import load_perceptual
    from invert.projection.framing import Framing
    from invert.projection.optimization import Projection, Step
    from invert.projection.projector import project
    from invert.projection.settings import ProjectionSettings, preset

HOMES = {
    "Framing": "invert.projection.framing",
    "Generator": "invert.generator",
    "InvertError": "invert.errors",
    "Latent": "invert.latents.latent",
    "Projection": "invert.projection.optimization",
    "ProjectionSettings": "invert.projection.settings",
    "ReadOptions": "invert.images.image_files",
    "Space": "invert.latents.spaces",
    "Step": "invert.projection.optimization",
    "keep_large_blocks": "invert.hardware.allocator",
    "load_generator": "invert.generator",
    "load_perceptual": "invert.metrics.perceptual",
    "preset": "invert.projection.settings",
    "project": "invert.projection.projector",
}

__all__ = [
    "Framing",
    "Generator",
    "InvertError",
    "Latent",
    "Projection",
    "ProjectionSettings",
    "ReadOptions",
    "Space",
    "Step",
    "keep_large_blocks",
    "load_generator",
    "load_perceptual",
    "preset",
    "project",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'invert' has no attribute {name!r}")
    value = getattr(import_module(HOMES[name]), name)
    globals()[name] = value
    return value
