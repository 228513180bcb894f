"""Closed-form factorization of the affine layers (SeFa: Shen and Zhou, arXiv:2007.06600).

The directions are those that the affine layers amplify most: the unit vectors v that maximize |Av|.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from directions.direction import Direction, sign_fixed, unit
from directions.w_space import WSpace
from invert.arguments import whole
from invert.errors import UsageError
from invert.latents.layer_ranges import StyleRange, check_layers_exist, check_range
from invert.networks.mobile_stylegan import MobileStyleGAN, SeparableConv
from invert.networks.network import Affine, SynthesisNetwork
from invert.networks.stylegan2 import StyledConv, StyleGAN2, ToRGB

if TYPE_CHECKING:
    from invert.generator import Generator


def factorize(generator: Generator, styles: StyleRange | None, count: int) -> list[Direction]:
    """The `count` leading eigenvectors of AᵀA, A the affine weights of a half-open range of styles.

    Largest eigenvalue first; signs are arbitrary but reproducible. The directions keep the range;
    names and meanings have both its ends, as the command line does.
    `measured` has the eigenvalue divided by the number of rows: the mean squared cosine with a row.
    Raises :class:`UsageError` for a range or a count outside the generator's.
    """
    first, stop = (0, generator.num_ws) if styles is None else check_range(styles)
    if not 0 <= first < stop <= generator.num_ws:
        raise UsageError(
            f"styles {first} to {stop - 1}: expected a range within 0 to {generator.num_ws - 1}, "
            "both included"
        )
    check_layers_exist(generator.network, first, stop)
    number = whole(count)
    if number is None or not 1 <= number <= generator.w_dim:
        raise UsageError(f"expected 1 to {generator.w_dim} directions, got {count!r}")

    # Rows of unit norm, as in the paper's code: channels count alike, and run-time gains do not.
    start = max(first, generator.network.first - 1)
    weights = [a.weight for index in range(start, stop) for a in affines(generator.network, index)]
    rows = F.normalize(torch.cat(weights).cpu().double(), dim=1)

    # AᵀA v_k = λ_k v_k; eigh sorts upwards.
    values, vectors = (t.flip(-1) for t in torch.linalg.eigh(rows.T @ rows))

    space = WSpace.from_generator(generator)
    directions = []
    for k in range(number):
        vector = unit(sign_fixed(vectors[:, k]))
        direction = Direction(
            factor_name((first, stop), k),
            vector,
            space.std_along(vector),
            f"factor {k} of the affine weights of styles {first}-{stop - 1}",
            space.name,
            styles,
            {"method": "SeFa", "layers": [first, stop], "component": k, "rows": len(rows)},
            {"eigenvalue": round(values[k].item() / len(rows), 6)},
        )
        directions.append(direction)
    return directions


def factor_name(styles: StyleRange, component: int) -> str:
    """The name of a factor: sefa-0-4-2 is factor 2 of styles 0 to 4, the half-open range (0, 5)."""
    first, stop = styles
    return f"sefa-{first}-{stop - 1}-{component}"


def affines(network: SynthesisNetwork, index: int) -> list[Affine]:
    """The affine layers that turn style `index` (0-based) into modulations of convolutions.

    A torgb counts only as the last layer, which has no convolution. The RGB skips of earlier layers
    only colour the image, and SeFa leaves them out too. This is the only place that knows where a
    network keeps its affine layers; raises :class:`UsageError` for other networks.
    """
    if isinstance(network, (StyleGAN2, MobileStyleGAN)) and index < network.num_ws - 1:
        conv = network.conv(index + 1)
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
