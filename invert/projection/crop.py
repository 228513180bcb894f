"""The random crop of a step: details of full size, which the downscaled image does not show."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from invert.images.images import area_downscale
from invert.metrics.perceptual import PerceptualDistance

CROP_SCALES = (1, 2, 4)  # k: a crop is a window of k · size pixels, downscaled to size


@dataclass(frozen=True)
class Crop:
    """A window of an image.

    scale     k; the side in pixels is k times that of the downscaled crop
    fraction  k over the largest k possible
    top, left  of the window in pixels: numbers, or on a device tensors [] that no one reads
    """

    scale: int
    fraction: float
    top: int | Tensor
    left: int | Tensor


def draw_crop(
    image_size: tuple[int, int],
    crop_size: int,
    random: torch.Generator,
    possible: tuple[int, ...] = CROP_SCALES,
) -> Crop:
    """A crop of random scale and place, for images of (height, width)."""
    # The scale: a crop covers k · size pixels and is downscaled to size.
    size = min(crop_size, *image_size)
    scales = [k for k in possible if k * size <= min(image_size)]
    k = scales[int(torch.randint(len(scales), (), generator=random))]

    # The corner, in whole pixels of the downscaled image: a crop is exactly a part of it.
    top, left = (
        k * int(torch.randint(side // k - size + 1, (), generator=random)) for side in image_size
    )
    return Crop(k, k / scales[-1], top, left)


def crop_distance(
    distance: PerceptualDistance, image: Tensor, target: Tensor, crop_size: int, crop: Crop
) -> Tensor:
    """Distances [N] of a crop of images [N, 3, H, W], times its scale over the largest possible.

    Distances grow with resolution: unweighted, texture would win over the shapes of eyes.
    """
    size = min(crop_size, *image.shape[2:])
    crops = [area_downscale(cut(t, crop, size), (size, size)) for t in (image, target)]
    return distance(*crops) * crop.fraction


def cut(image: Tensor, crop: Crop, size: int) -> Tensor:
    """The window [N, 3, k · size, k · size] of a crop."""
    side = crop.scale * size
    if isinstance(crop.top, int) and isinstance(crop.left, int):
        return image[:, :, crop.top : crop.top + side, crop.left : crop.left + side]

    # A corner on the device: rows, then columns, by index.
    offsets = torch.arange(side, device=image.device)
    return image.index_select(2, crop.top + offsets).index_select(3, crop.left + offsets)
