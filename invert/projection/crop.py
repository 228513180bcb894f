"""The crop of a step: details of full size, which the downscaled image does not show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from invert.images.images import area_downscale
from invert.metrics.perceptual import PerceptualDistance

CROP_SCALES = (1, 2, 4)  # k: a crop is a window of k · size pixels, downscaled to size
RANDOM_EVERY = 3  # crops from one of random place and smaller scale to the next
KEPT_TARGETS = 16  # embeddings of windows of a target that are kept, of some MB each


@dataclass(frozen=True)
class Crop:
    """A window of an image.

    scale     k; the side in pixels is k times that of the downscaled crop
    fraction  k over the largest k possible
    top, left  of the window in pixels: numbers, or on a device tensors [] that no one reads
    returns    whether the same window comes again
    """

    scale: int
    fraction: float
    top: int | Tensor
    left: int | Tensor
    returns: bool = False


class CropSequence:
    """The crops of one step after another, for images of (height, width).

    Two of three are windows of the largest scale on a grid of half their side. They come in random
    order, each once before any comes again: the mean over some steps is nearly that over the image,
    where windows drawn anywhere would leave the gradient noisier. The third crop has a smaller
    scale and a random place. `possible` are the scales, of which those are taken that fit.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        crop_size: int,
        random: torch.Generator,
        possible: tuple[int, ...] = CROP_SCALES,
    ) -> None:
        self.image_size, self.crop_size, self.random = image_size, crop_size, random
        self.size = min(crop_size, *image_size)
        fitting = [k for k in possible if k * self.size <= min(image_size)]
        self.smaller, self.largest = tuple(fitting[:-1]), fitting[-1]
        rows, columns = (stops(side, self.largest, self.size) for side in image_size)
        self.windows = [
            Crop(self.largest, 1.0, top, left, returns=True) for top in rows for left in columns
        ]
        self.left: list[int] = []  # numbers of the windows that are still to come in this round
        self.count = 0

    def draw(self) -> Crop:
        """The next crop."""
        self.count += 1
        if self.smaller and self.count % RANDOM_EVERY == 0:
            crop = draw_crop(self.image_size, self.crop_size, self.random, self.smaller)
            return replace(crop, fraction=crop.scale / self.largest)

        if not self.left:
            self.left = torch.randperm(len(self.windows), generator=self.random).tolist()
        return self.windows[self.left.pop()]


def stops(side: int, scale: int, size: int) -> list[int]:
    """The offsets of windows of scale · size pixels along a side, at most half a window apart.

    They are evenly spread from edge to edge, in whole pixels of the downscaled image.
    """
    last = side // scale - size
    count = -(-2 * last // size) + 1
    return [scale * round(last * i / max(1, count - 1)) for i in range(count)]


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


Targets = dict[tuple[object, ...], tuple[Tensor, ...]]  # embeddings of windows, by place


def crop_distance(
    distance: PerceptualDistance,
    image: Tensor,
    target: Tensor,
    crop_size: int,
    crop: Crop,
    targets: Targets | None = None,
) -> Tensor:
    """Distances [N] of a crop of images [N, 3, H, W], times its scale over the largest possible.

    Distances grow with resolution: unweighted, texture would win over the shapes of eyes. `targets`
    keeps the embeddings of windows of this target that return.
    """
    size = min(crop_size, *image.shape[2:])

    def window(t: Tensor) -> Tensor:
        return area_downscale(cut(t, crop, size), (size, size))

    # The target's side, which a window that returns had before. A device's places are not read.
    kept = targets if crop.returns and isinstance(crop.top, int) else None
    key = (*target.shape[2:], crop.scale, crop.top, crop.left)
    goal = None if kept is None else kept.get(key)
    if goal is None:
        goal = distance.embed(window(target))
        if kept is not None and len(kept) < KEPT_TARGETS:
            kept[key] = goal

    return distance.to_embedded(window(image), goal) * crop.fraction


def cut(image: Tensor, crop: Crop, size: int) -> Tensor:
    """The window [N, 3, k · size, k · size] of a crop."""
    side = crop.scale * size
    if isinstance(crop.top, int) and isinstance(crop.left, int):
        return image[:, :, crop.top : crop.top + side, crop.left : crop.left + side]

    # A corner on the device: rows, then columns, by index.
    offsets = torch.arange(side, device=image.device)
    return image.index_select(2, crop.top + offsets).index_select(3, crop.left + offsets)
