"""The companion of a point: likely W+ styles that make nearly its F_i, by which edits reach F_i."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from invert.errors import LatentError
from invert.generator import Generator
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.layer_ranges import styles_inside
from invert.projection.companion_fit import likely_styles
from invert.projection.companion_windows import Window, Windows, find_windows
from invert.projection.settings import ProjectionSettings

FOUND = 0.5  # share missed by the best styles below which a window of a canvas holds a face
# cells per side of F_i at the training size; a later one would take longer than its projection
LARGEST = 32


def can_have_companion(generator: Generator, latent: Latent) -> bool:
    """Whether F_i is of one of the coarse and middle layers, and of the training size, or of one
    larger point.
    """
    if latent.features is None:
        return False
    size = generator.shapes(latent.space).features
    large = all(side >= least for side, least in zip(latent.features.shape[2:], size, strict=True))
    return max(size) <= LARGEST and (
        at_training_size(generator, latent) or (large and len(latent) == 1)
    )


def at_training_size(generator: Generator, latent: Latent) -> bool:
    """Whether F_i of a latent has the size that any W+ styles make."""
    return generator.check(latent).features == generator.shapes(latent.space).features


def has_companion(generator: Generator, latent: Latent) -> bool:
    """Whether the latent has a companion and it is known where: on all of the training size, or in
    windows.
    """
    return latent.companion is not None and (
        latent.companion.windows is not None or at_training_size(generator, latent)
    )


def with_companion(
    generator: Generator,
    latent: Latent,
    early: Latent | None = None,
    *,
    steps: int = ProjectionSettings.companion_steps,
) -> Latent:
    """The latent with the companion that explains its F_i and R_i best among likely ones
    (`companion_fit`).

    `early` is a point on the way to the latent whose F_i and R_i are explained in its place: after
    thousands of steps
    there is little left in F_i that any styles explain. A start that was fitted to the image alone
    lies far out,
    and what edits do there is no guide. The companion's later styles are the latent's own. On a
    canvas larger than
    the training size every face that is found gets a companion, and its windows say where; where none
    is found, it
    has no companion. `steps` are those of Adam. A few seconds on a CPU, and less than one for each
    window that is
    looked at. Raises :class:`LatentError` where :func:`can_have_companion` is false.
    """
    if not can_have_companion(generator, latent):
        raise LatentError(
            f"{latent.space} has no companion at this size; expected F_i of the training size, at most "
            f"{LARGEST}×{LARGEST} cells, or one larger point"
        )
    latent = latent.detach().to(generator.device, generator.dtype)
    inside = styles_inside(generator.network, latent.space)
    own = own_styles(latent)
    seen = latent if early is None else early.detach().to(generator.device, generator.dtype)
    if at_training_size(generator, latent):
        if inside == 0:
            return latent.replace(companion=Companion(own))
        companions, _ = fitted(generator, seen, None, own, steps)
        return latent.replace(companion=Companion(companions))
    windows = find_windows(generator, seen) if inside else []
    if not windows:
        return latent.replace(companion=None)
    companions, missed = fitted(generator, seen, windows, own.expand(len(windows), -1, -1), steps)
    found = missed < FOUND
    if not found.any():
        return latent.replace(companion=None)
    corners = torch.tensor([windows]).to(own)[:, found]
    return latent.replace(companion=Companion(companions[found][None], corners))


def fitted(
    generator: Generator, latent: Latent, windows: Sequence[Window] | None, own: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Companions [M, num_ws, w_dim] of F_i in some windows or whole, and the share [M] that they
    miss.

    Their later styles are those of `own` [M, n, w_dim].
    """
    parts = Windows.from_latent(generator, latent, windows)
    targets = [parts.cut(t) for t in (latent.features, latent.rgb) if t is not None]
    early, missed = likely_styles(generator, latent.space, targets, steps)
    return torch.cat([early, own[:, early.shape[1] + 1 - latent.space.first :]], 1), missed


def ensure_companion(
    generator: Generator, latent: Latent, *, steps: int = ProjectionSettings.companion_steps
) -> Latent:
    """The latent, :func:`with_companion` where it has none and can have one."""
    if not has_companion(generator, latent) and can_have_companion(generator, latent):
        return with_companion(generator, latent, steps=steps)
    return latent.to(generator.device, generator.dtype)


def own_styles(latent: Latent) -> Tensor:
    """The latent's styles from layer i on as vectors [N, n, w_dim]; the means of maps."""
    return torch.stack([s if s.ndim == 2 else s.mean(dim=(2, 3)) for s in latent.style_list()], 1)
