"""Closed-form factorization: what the affine layers amplify most (SeFa: Shen and Zhou,
arXiv:2007.06600).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from directions.direction import Direction, sign_fixed, unit
from directions.w_space import WSpace
from invert.errors import UsageError
from invert.latents.layer_ranges import StyleRange
from invert.networks.mobile_stylegan import MobileStyleGAN, SeparableConv
from invert.networks.network import Affine, SynthesisNetwork
from invert.networks.stylegan2 import StyledConv, StyleGAN2, ToRGB

if TYPE_CHECKING:
    from invert.generator import Generator


def factorize(generator: Generator, styles: StyleRange | None, count: int) -> list[Direction]:
    """The `count` leading eigenvectors of AᵀA, A the affine weights of a half-open range of 0-based
    style indices.

    As in the paper's code every row of A is first scaled to unit norm, so that channels count alike
    and run-time gains
    do not matter. Largest eigenvalue first. The directions keep the range; signs are
    arbitrary but reproducible.
    `measured` has the eigenvalue divided by the number of rows: the mean squared cosine with a row.
    """
    first, stop = styles or (0, generator.num_ws)
    if not 0 <= first < stop <= generator.num_ws:
        raise UsageError(
            f"styles {first} to {stop - 1}: expected a range within 0 to {generator.num_ws - 1}, both included"
        )
    if not 1 <= count <= generator.w_dim:
        raise UsageError(f"expected 1 to {generator.w_dim} directions, got {count}")
    weights = [a.weight for index in range(first, stop) for a in affines(generator.network, index)]
    rows = F.normalize(torch.cat(weights).cpu().double(), dim=1)
    values, vectors = (t.flip(-1) for t in torch.linalg.eigh(rows.T @ rows))  # eigh sorts upwards
    space = WSpace.from_generator(generator)
    directions = []
    for k in range(count):
        vector = unit(sign_fixed(vectors[:, k]))
        directions.append(
            Direction(
                f"sefa-{first}-{stop}-{k}",
                vector,
                space.std_along(vector),
                f"factor {k} of the affine weights of layers {first}-{stop}",
                space.name,
                styles,
                {"method": "SeFa", "layers": [first, stop], "component": k, "rows": len(rows)},
                {"eigenvalue": round(values[k].item() / len(rows), 6)},
            )
        )
    return directions


def affines(network: SynthesisNetwork, index: int) -> list[Affine]:
    """The affine layers that turn style `index` (0-based) into modulations of convolutions.

    A torgb counts only as the last layer, where it is all there is: the RGB skips of earlier layers
    only colour the
    image, and SeFa leaves them out too. The only place that knows where a network keeps its
    affines.
    """
    if isinstance(network, (StyleGAN2, MobileStyleGAN)) and index < len(network.convs):
        conv = network.convs[index]
        assert isinstance(conv, (StyledConv, SeparableConv))
        up = conv.up_affine if isinstance(conv, SeparableConv) else None
        return [conv.affine] if up is None else [up, conv.affine]
    if isinstance(network, StyleGAN2):
        torgb = network.torgbs[-1]
        assert isinstance(torgb, ToRGB)
        return [torgb.affine]
    if isinstance(network, MobileStyleGAN):
        return [network.head_affine]
    raise UsageError(f"no affine layers are known in a {network.architecture}; use pca")
