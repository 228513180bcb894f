"""Fits the companion of a point: likely W+ styles whose features approximate its F_i.

:class:`invert.latents.companion.Companion` says what companions are for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from invert.errors import LatentError
from invert.generator import Generator
from invert.hardware.modes import default_modes, ordinary
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.layer_ranges import styles_inside
from invert.latents.spaces import Space
from invert.projection.companion_fit import likely_styles
from invert.projection.companion_search import find_windows
from invert.projection.companion_windows import Window, Windows
from invert.projection.settings import ProjectionSettings

# share of F_i and R_i that the best styles may leave unexplained in a window that holds a face
MAX_UNEXPLAINED = 0.5
# cells per side of F_i at the training size; a later layer would take longer than its projection
MAX_CELLS = 32


def can_have_companion(generator: Generator, latent: Latent) -> bool:
    """Whether a companion can be fitted to the latent's F_i.

    F_i is one of the coarse and middle layers, and has the training size, or is that of one point
    on a larger canvas.
    """
    if latent.features is None:
        return False
    size = generator.shapes(latent.space).features
    if max(size) > MAX_CELLS:
        return False
    larger = all(side >= least for side, least in zip(latent.features.shape[2:], size, strict=True))
    return at_training_size(generator, latent) or (larger and len(latent) == 1)


def at_training_size(generator: Generator, latent: Latent) -> bool:
    """Whether F_i of a latent has the size that any W+ styles make."""
    return generator.check(latent).features == generator.shapes(latent.space).features


def has_companion(generator: Generator, latent: Latent) -> bool:
    """Whether the latent has a companion for all of F_i, or for windows of a canvas."""
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
    """The latent with the likely companion that explains its F_i and R_i best.

    `early` is a point on the way to the latent, whose F_i and R_i are explained in place of the
    latent's: after thousands of steps styles explain little of F_i. Styles that were fitted to the
    image alone are no substitute: they lie far from W, where edits do not do what they should.
    From layer i on the companion has the latent's own styles. Gradients flow to the latent's parts;
    the companion is a constant.

    On a canvas larger than the training size every face in a window gets a companion, and the
    windows say where it is; without a face the latent has no companion.

    `steps` are those of Adam: a few seconds on a CPU, and less than one for each window that is
    searched. Raises :class:`LatentError` where :func:`can_have_companion` is false.
    """
    if not can_have_companion(generator, latent):
        raise LatentError(
            f"{latent.space} has no companion at this size; expected F_i of the training size, "
            f"at most {MAX_CELLS}×{MAX_CELLS} cells, or one larger point"
        )
    latent = latent.to(generator.device, generator.dtype)
    return latent.replace(companion=fitted_companion(generator, latent, early or latent, steps))


@default_modes()
def fitted_companion(
    generator: Generator, latent: Latent, early: Latent, steps: int
) -> Companion | None:
    """What :func:`with_companion` gives a latent, as constants; None where no window has a face."""
    latent, explained = (
        point.detach().map(ordinary).to(generator.device, generator.dtype)
        for point in (latent, early)
    )
    inside = styles_inside(generator.network, latent.space)  # number of styles that make F_i
    space = Space("W+", latent.space.layer, latent.space.noise, latent.space.spatial)
    later = later_styles(generator.convert(latent, space))

    # At the training size: one companion for all of F_i.
    if at_training_size(generator, latent):
        if inside == 0:
            absent = later[:, :1].expand(-1, latent.space.first - 1, -1)
            return Companion(torch.cat([absent, later], 1))
        styles, _ = fit_companions(generator, explained, None, later, steps)
        return Companion(styles)

    # On a canvas: candidate windows, and a companion for each.
    windows = find_windows(generator, explained) if inside else []
    if not windows:
        return None
    styles, unexplained = fit_companions(
        generator, explained, windows, later.expand(len(windows), -1, -1), steps
    )

    # A window without a face stays unexplained after all steps.
    faces = unexplained < MAX_UNEXPLAINED
    if not faces.any():
        return None
    corners = torch.tensor([windows]).to(later)[:, faces]
    return Companion(styles[faces][None], corners)


def fit_companions(
    generator: Generator,
    latent: Latent,
    windows: Sequence[Window] | None,
    later: Tensor,
    steps: int,
) -> tuple[Tensor, Tensor]:
    """Companions [M, num_ws, w_dim] of M windows, and the share [M] that they leave unexplained.

    Without windows M is that of the latent, whose F_i are explained whole. `later` [M, n, w_dim]
    are the styles from layer i on.
    """
    parts = Windows.from_latent(generator, latent, windows)
    targets = [parts.cut(t) for t in (latent.features, latent.rgb) if t is not None]
    early, unexplained = likely_styles(generator, latent.space, targets, steps)
    return torch.cat([early, later[:, early.shape[1] + 1 - latent.space.first :]], 1), unexplained


def ensure_companion(
    generator: Generator, latent: Latent, *, steps: int = ProjectionSettings.companion_steps
) -> Latent:
    """The latent, :func:`with_companion` where it has none and can have one."""
    if not has_companion(generator, latent) and can_have_companion(generator, latent):
        return with_companion(generator, latent, steps=steps)
    return latent.to(generator.device, generator.dtype)


def later_styles(latent: Latent) -> Tensor:
    """The latent's styles from layer i on as vectors [N, n, w_dim]; of style maps the means."""
    return torch.stack([s if s.ndim == 2 else s.mean(dim=(2, 3)) for s in latent.style_list()], 1)
