"""Crops of one step after another: windows that take turns, and others of smaller scale."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from invert.metrics.perceptual import PerceptualDistance
from invert.projection.crop import (
    KEPT_TARGETS,
    RANDOM_EVERY,
    Crop,
    CropSequence,
    Targets,
    crop_distance,
)

SIZES = [(64, 64), (128, 128), (256, 256), (96, 160), (100, 130), (32, 32), (200, 330)]


def draws(image_size: tuple[int, int], count: int, seed: int = 0) -> list[Crop]:
    sequence = CropSequence(image_size, 32, torch.Generator().manual_seed(seed))
    return [sequence.draw() for _ in range(count)]


class Counting(PerceptualDistance):
    """A perceptual distance that needs no weights, and counts what it looks at."""

    def __init__(self) -> None:
        super().__init__("colours", [nn.Identity()], [torch.ones(3)])
        self.looks = 0

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        self.looks += 1
        return super().activations(images)


@pytest.mark.parametrize("image_size", SIZES)
def test_windows_take_turns_and_together_see_the_whole_image(image_size: tuple[int, int]) -> None:
    windows = [crop for crop in draws(image_size, 300) if crop.returns]
    count = len({(crop.top, crop.left) for crop in windows})
    rounds = [windows[k : k + count] for k in range(0, len(windows) - count, count)]
    seen = torch.zeros(image_size)
    for crop in rounds[0]:
        side = 32 * crop.scale
        part = seen[crop.top : crop.top + side, crop.left : crop.left + side]
        assert part.shape == (side, side)
        part += 1

    # Up to pixels that no whole number of downscaled ones holds.
    scale = windows[0].scale
    assert seen[: image_size[0] // scale * scale, : image_size[1] // scale * scale].min() >= 1
    for each in rounds:
        assert len({(crop.top, crop.left) for crop in each}) == count


def test_every_third_crop_has_a_smaller_scale_and_counts_less() -> None:
    crops = draws((128, 128), 300)
    others = crops[RANDOM_EVERY - 1 :: RANDOM_EVERY]
    assert {(crop.scale, crop.fraction) for crop in others} == {(1, 0.25), (2, 0.5)}
    assert {(c.scale, c.fraction) for c in crops if c.returns} == {(4, 1.0)}
    assert sum(crop.returns for crop in crops) == 200
    assert len({(crop.top, crop.left) for crop in others}) > 50


def test_the_seed_alone_decides_about_crops() -> None:
    assert draws((128, 128), 50) == draws((128, 128), 50)
    assert draws((128, 128), 50) != draws((128, 128), 50, seed=1)


def test_a_window_that_returns_has_its_distance_without_another_look_at_the_target() -> None:
    random = torch.Generator().manual_seed(0)
    image, target = torch.rand(2, 1, 3, 256, 256, generator=random)
    distance, kept, crops = Counting(), Targets(), draws((256, 256), 30)
    plain = [crop_distance(distance, image, target, 32, crop) for crop in crops]
    assert distance.looks == 60
    again = [crop_distance(distance, image, target, 32, crop, kept) for crop in crops]
    assert distance.looks == 60 + 30 + 9 + 10  # images, nine windows, ten crops that do not return
    assert torch.equal(torch.cat(again), torch.cat(plain))


def test_few_windows_of_a_large_canvas_are_kept() -> None:
    kept = Targets()
    image, target = torch.rand(2, 1, 3, 256, 512)
    for crop in draws((256, 512), 90):
        crop_distance(Counting(), image, target, 32, crop, kept)
    assert len(kept) == KEPT_TARGETS
