"""How the distance of an encoding's image to its target changes with the encoding."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from invert.encoders.encoding import Encoding
from invert.errors import UsageError
from invert.generator import Generator
from invert.hardware.modes import default_modes
from invert.images.images import area_downscale
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.metrics.perceptual import MINIMUM_SIDE, PerceptualDistance, load_perceptual

SIDE = 256  # pixels at most of the images that are compared: an encoder's input
DEPTHS = 3  # of ST-LPIPS-vgg's five; the deeper two would take more than half as long again


class Slope(NamedTuple):
    """A distance and its gradient.

    distance  [N], of the first depths of ST-LPIPS-vgg plus mean squared error
    gradient  with respect to F_i, R_i and all styles; that of styles before layer i is zero
    """

    distance: Tensor
    gradient: Encoding


class Target:
    """Images [N, 3, H, W] in [−1, 1] that encodings should show, embedded once.

    `cells` (h, w) are those of F_i; images may have any size in proportion.
    """

    def __init__(
        self, generator: Generator, layer: int, images: Tensor, cells: tuple[int, int]
    ) -> None:
        self.generator, self.layer = generator, layer
        self.size = slope_size(generator, layer)
        self.distance = slope_distance(generator.device, generator.dtype)

        # The images as large as what is rendered.
        pixels = self.size // generator.layer(layer).size
        like = generator.w_avg
        self.images = area_downscale(images.to(like), (pixels * cells[0], pixels * cells[1]))
        with torch.no_grad():
            self.embedding = self.distance.embed(self.images)

    def slope(self, encoding: Encoding) -> Slope:
        """The slope at an encoding, whose noise is the generator's constant one.

        Images are computed in one pass.
        """
        leaves = encoding.map(lambda t: t.detach().requires_grad_())
        with torch.enable_grad():
            latent = Latent(
                Space("W+", self.layer),
                leaves.styles[:, self.layer - 1 :],
                self.generator.fingerprint,
                features=leaves.features,
                rgb=leaves.rgb,
            )
            image = self.generator.preview(latent, self.size, one_pass=True)
            distance = self.distance.to_embedded(image, self.embedding)
            distance = distance + (image - self.images).square().mean(dim=(1, 2, 3))
            tensors = [t for t in leaves if t is not None]
            gradients = list(torch.autograd.grad(distance.sum(), tensors))

        rgb = gradients[1] if leaves.rgb is not None else None
        return Slope(distance.detach(), Encoding(gradients[0], rgb, gradients[-1]))


def slope_size(generator: Generator, layer: int) -> int:
    """The longer side of images that are compared: at most 256 px, by the layers up to it.

    Raises :class:`UsageError` where F_i has more cells than that, or the image would be too small
    for a perceptual distance.
    """
    cells = generator.layer(layer).size
    size = max((size for size in generator.preview_sizes if size <= SIDE), default=0)
    shorter = size * min(generator.image_size) // generator.resolution
    if shorter < MINIMUM_SIDE or size < cells or size % cells:
        raise UsageError(
            f"layer {layer} has {cells} cells a side; a refinement compares images of "
            f"{size or 'no'} px here, {MINIMUM_SIDE} px or more on the shorter side; choose an "
            "earlier layer, or no refinement"
        )
    return size


@cache
@default_modes()
def slope_distance(device: torch.device, dtype: torch.dtype) -> PerceptualDistance:
    """The perceptual part of the distance, loaded once."""
    return load_perceptual("st-lpips-vgg", device=device, dtype=dtype).shallow(DEPTHS)
