"""What the parts of a latent must be in its space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from invert.errors import LatentError
from invert.latents.companion import Companion
from invert.latents.spaces import POINT_PARTS

if TYPE_CHECKING:
    from invert.latents.latent import Latent


def check_parts(latent: Latent) -> None:
    """Raise :class:`LatentError` unless the parts are those of the space, in one batch size."""
    check_types(latent)
    check_styles(latent)
    check_presence(latent)
    check_maps(latent)
    check_noise(latent)
    check_companion(latent)
    check_batch(latent)


def check_types(latent: Latent) -> None:
    """Tensors, or tuples of them where a part has several; text and a mapping beside them."""
    for name in POINT_PARTS:
        part = getattr(latent, name)
        if part is None and name != "styles":
            continue
        several = isinstance(part, tuple) and name in ("styles", "noise")
        for value in part if several else (part,):
            if not isinstance(value, Tensor):
                raise LatentError(f"expected a tensor as {name}, got {type(value).__name__}")

    if latent.companion is not None and not isinstance(latent.companion, Companion):
        found = type(latent.companion).__name__
        raise LatentError(f"expected a Companion as companion, got {found}")
    if not isinstance(latent.fingerprint, str):
        raise LatentError(f"expected text as fingerprint, got {type(latent.fingerprint).__name__}")
    if not isinstance(latent.metadata, Mapping):
        raise LatentError(f"expected a mapping as metadata, got {type(latent.metadata).__name__}")


def check_styles(latent: Latent) -> None:
    """One tensor, or maps in spatial spaces."""
    space, styles = latent.space, latent.styles
    if space.spatial != isinstance(styles, tuple):
        raise LatentError(
            f"{space} needs {'a tuple of style maps' if space.spatial else 'one style tensor'}"
        )
    if isinstance(styles, tuple):
        wrong = [list(s.shape) for s in styles if s.ndim != 4]
        expected = "maps [N, w_dim, h, w]"
    else:
        rank = 3 if space.base == "W+" else 2
        wrong = [] if styles.ndim == rank else [list(styles.shape)]
        expected = "[N, layers, w_dim]" if rank == 3 else "[N, dim]"
    if wrong or (isinstance(styles, tuple) and not styles):
        raise LatentError(f"{space} needs styles {expected}, got {wrong[0] if wrong else 'none'}")


def check_presence(latent: Latent) -> None:
    """Features, noise and label where the space has them, and nowhere else."""
    space = latent.space
    if (latent.features is not None) != (space.layer is not None):
        raise LatentError(f"{space} {'needs' if space.layer else 'has no'} features F_i")
    if latent.rgb is not None and space.layer is None:
        raise LatentError(f"{space} has no RGB map R_i")
    if (latent.noise is not None) != space.noise:
        raise LatentError(f"{space} {'needs' if space.noise else 'has no'} noise maps")
    if latent.label is not None and space.base != "Z":
        raise LatentError(f"{space} has no label; only z needs one")
    if latent.label is not None and latent.label.ndim != 2:
        raise LatentError(f"{space} needs a label [N, c_dim], got {list(latent.label.shape)}")


def check_maps(latent: Latent) -> None:
    """Features and RGB are maps with the right channels."""
    space, features, rgb = latent.space, latent.features, latent.rgb
    if features is not None and features.ndim != 4:
        raise LatentError(f"{space} needs features [N, C, H, W], got {list(features.shape)}")
    if rgb is not None and (rgb.ndim != 4 or rgb.shape[1] != 3):
        raise LatentError(f"{space} needs rgb [N, 3, H, W], got {list(rgb.shape)}")


def check_noise(latent: Latent) -> None:
    """A tuple of maps of one channel; how many there must be, the generator knows."""
    space, noise = latent.space, latent.noise
    if noise is None:
        return
    if not isinstance(noise, tuple):
        raise LatentError(f"{space} needs a tuple of tensors as noise, got one tensor")
    for n in noise:
        if n.ndim != 4 or n.shape[1] != 1:
            raise LatentError(f"{space} needs noise maps [N, 1, H, W], got {list(n.shape)}")


def check_companion(latent: Latent) -> None:
    """A companion has a space with features, windows on the canvas, and an origin of its size."""
    companion, features = latent.companion, latent.features
    if companion is None:
        return
    if features is None:
        raise LatentError(f"{latent.space} has no companion")

    windows = companion.windows
    if windows is not None:
        height, width = features.shape[2:]
        canvas = torch.tensor([width, height]).to(windows)
        outside = (windows < 0) | (windows >= canvas)
        if bool(((windows != windows.round()) | outside).any()):
            raise LatentError(f"windows begin at whole cells of the {width}×{height} of F_i")

    if companion.origin is not None:
        alike = [t.shape for t in (companion.styles, features, latent.rgb) if t is not None]
        if [t.shape for t in companion.origin] != alike:
            needed = "an origin of the sizes of its companion, features and rgb, or none"
            raise LatentError(f"{latent.space} needs {needed}")


def check_batch(latent: Latent) -> None:
    """One batch size of at least 1, no map without cells, and floating point throughout."""
    tensors = latent.tensors()
    batches = sorted({t.shape[0] for t in tensors})
    if len(batches) != 1:
        raise LatentError(f"{latent.space} parts disagree in batch size: {batches}")
    empty = [list(t.shape) for t in tensors if t.numel() == 0]
    if empty:
        needed = "at least one point, and one value in every part"
        raise LatentError(f"{latent.space} needs {needed}, got {empty[0]}")
    if not all(t.is_floating_point() for t in tensors):
        raise LatentError(f"{latent.space} parts must be floating point")
