"""Principal components of W (GANSpace: Härkönen et al., arXiv:2004.02546)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from directions.direction import Direction, sign_fixed, unit
from directions.w_space import WSpace
from invert.arguments import whole
from invert.errors import UsageError
from invert.latents.layer_ranges import StyleRange

if TYPE_CHECKING:
    from invert.generator import Generator

# Two draws of this many w of FFHQ agree to a cosine of 0.96 or more on each of the first 20
# components; draws of 10 000 agree to 0.91.
SAMPLES = 50_000


def principal_directions(
    generator: Generator, count: int, *, samples: int = SAMPLES, styles: StyleRange | None = None
) -> list[Direction]:
    """The `count` directions along which W varies most, largest first.

    Signs are arbitrary but reproducible. GANSpace applies a component to a range of styles that a
    user finds by looking; `styles` stores one. Raises :class:`UsageError` unless
    1 <= count <= w_dim < samples.
    """
    number, draws = whole(count), whole(samples)
    if number is None or not 1 <= number <= generator.w_dim:
        raise UsageError(f"expected 1 to {generator.w_dim} components, got {count!r}")
    if draws is None or draws <= generator.w_dim:
        raise UsageError(f"expected more than {generator.w_dim} samples, got {samples!r}")

    # C v_k = λ_k v_k for the covariance C of w; eigh sorts upwards.
    space = WSpace.from_generator(generator, draws)
    covariance = torch.cov(space.samples.double().T)
    variances, vectors = (t.flip(-1) for t in torch.linalg.eigh(covariance))

    # Component k explains λ_k / Σλ of the variance.
    directions = []
    for k in range(number):
        vector = unit(sign_fixed(vectors[:, k]))
        direction = Direction(
            f"pca-{k}",
            vector,
            space.std_along(vector),
            f"principal component {k} of W",
            space.name,
            styles,
            {"method": "PCA of W", "component": k, "samples": draws},
            {"variance_share": round((variances[k] / variances.sum()).item(), 5)},
        )
        directions.append(direction)
    return directions
