"""How the distance of an encoding's image to its target changes with the encoding."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from invert.encoders.encoding import Encoding
from invert.errors import UsageError
from invert.generator import Generator
from invert.images.images import area_downscale
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.metrics.perceptual import MINIMUM_SIDE, PerceptualDistance, load_perceptual

SIDE = 128  # pixels at most, of the smaller images that are compared


class Slope(NamedTuple):
    """A distance and its gradient.

    distance  [N], perceptual plus mean squared error
    gradient  with respect to F_i, R_i and all styles; that of styles before layer i is zero
    image     [N, 3, h, w], the smaller image of the encoding
    target    [N, 3, h, w], what it should show
    """

    distance: Tensor
    gradient: Encoding
    image: Tensor
    target: Tensor


def slope_size(generator: Generator, layer: int) -> int:
    """The size at which images are compared: at most 128 px, by the layers up to it.

    Raises :class:`UsageError` where F_i has more cells than that, or the image would be too small
    for a perceptual distance.
    """
    cells = generator.layer(layer).nominal
    sizes = [size for size in generator.preview_sizes if size <= SIDE]
    if not sizes or sizes[-1] < max(MINIMUM_SIDE, cells) or sizes[-1] % cells:
        raise UsageError(
            f"layer {layer} has {cells} cells a side; a refinement compares images of "
            f"{sizes[-1] if sizes else 'no'} px here; choose an earlier layer, or no refinement"
        )
    return sizes[-1]


@cache
def slope_distance(device: torch.device, dtype: torch.dtype) -> PerceptualDistance:
    """The perceptual part of the distance, loaded once."""
    return load_perceptual("st-lpips-alex", device=device, dtype=dtype)


def slope_at(
    generator: Generator,
    layer: int,
    encoding: Encoding,
    images: Tensor,
    distance: PerceptualDistance,
) -> Slope:
    """The slope at an encoding, whose noise is the generator's constant one.

    `images` [N, 3, H, W] in [−1, 1], of any size in proportion, is what the encoding should show.
    Images are computed in one pass.
    """
    leaves = encoding.map(lambda t: t.detach().requires_grad_())
    with torch.enable_grad():
        latent = Latent(
            Space("W+", layer),
            leaves.styles[:, layer - 1 :],
            generator.fingerprint,
            features=leaves.features,
            rgb=leaves.rgb,
        )
        image = generator.preview(latent, slope_size(generator, layer), one_pass=True)
        target = area_downscale(images.to(image), (image.shape[2], image.shape[3]))
        found = distance(image, target) + (image - target).square().mean(dim=(1, 2, 3))
        tensors = [t for t in leaves if t is not None]
        gradients = list(torch.autograd.grad(found.sum(), tensors))

    rgb = gradients[1] if leaves.rgb is not None else None
    gradient = Encoding(gradients[0], rgb, gradients[-1])
    return Slope(found.detach(), gradient, image.detach(), target)
