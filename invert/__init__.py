"""Put a real photograph into a pretrained StyleGAN2 and change it there.

The names below are the public library; they are imported on first use, so `import invert` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invert.allocator import keep_large_blocks
    from invert.errors import InvertError
    from invert.generator import Generator, load_generator
    from invert.image_files import ReadOptions
    from invert.latents import Latent
    from invert.optimization import Projection, Step
    from invert.perceptual import load_perceptual
    from invert.photographs import Framing
    from invert.projector import project
    from invert.settings import ProjectionSettings, preset
    from invert.spaces import Space

HOMES = {
    "Framing": "invert.photographs",
    "Generator": "invert.generator",
    "InvertError": "invert.errors",
    "Latent": "invert.latents",
    "Projection": "invert.optimization",
    "ProjectionSettings": "invert.settings",
    "ReadOptions": "invert.image_files",
    "Space": "invert.spaces",
    "Step": "invert.optimization",
    "keep_large_blocks": "invert.allocator",
    "load_generator": "invert.generator",
    "load_perceptual": "invert.perceptual",
    "preset": "invert.settings",
    "project": "invert.projector",
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
