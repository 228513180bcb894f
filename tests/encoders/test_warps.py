"""Warped images: what each warp does, its range, and that every image has values of its own."""

from __future__ import annotations

import pytest
import torch

from invert.encoders.warps import (
    blurred,
    mirrored,
    mixed,
    noisy,
    placed,
    recoloured,
    warped,
)

WARPS = [placed, recoloured, mirrored, blurred, noisy, warped]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 16, height: int = 32, width: int = 32) -> torch.Tensor:
    """Smooth pictures [N, 3, H, W] in [−1, 1], all different."""
    small = torch.rand(count, 3, 5, 5, generator=seeded(1)) * 2 - 1
    return torch.nn.functional.interpolate(
        small, (height, width), mode="bilinear", align_corners=True
    )


@pytest.mark.parametrize("warp", WARPS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("count", [1, 5])
def test_a_warp_keeps_shape_and_depends_on_its_numbers_alone(warp, count: int) -> None:
    images = pictures(count, 24, 40)
    before = images.clone()
    made = warp(images, seeded())
    assert made.shape == images.shape
    assert made.isfinite().all()
    assert torch.equal(images, before)
    assert torch.equal(made, warp(images, seeded()))


def test_a_warped_image_lies_in_the_range_of_images() -> None:
    made = warped(pictures() * 1.2, seeded())
    assert float(made.min()) >= -1
    assert float(made.max()) <= 1
    assert ((made - pictures()).abs().mean(dim=(1, 2, 3)) > 0.02).all()


def test_images_that_are_not_chosen_stay() -> None:
    images = pictures()
    for warp in (placed, mirrored, blurred):
        assert torch.equal(warp(images, seeded(), share=0.0), images)
        some = (warp(images, seeded(), share=0.5) != images).any(dim=(1, 2, 3))
        assert 0 < int(some.sum()) < 16
    assert torch.equal(mixed(images, images.flip(0), seeded(), share=0.0), images)


def test_a_turned_image_keeps_its_proportions() -> None:
    """A disc in the middle stays a disc, whatever the angle and the shape of the image."""
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(80.0), indexing="ij")
    disc = ((rows - 19.5) ** 2 + (columns - 39.5) ** 2 < 10**2).float() * 2 - 1
    made = placed(disc.expand(12, 3, 40, 80), seeded(), share=1.0)
    heights, widths = [], []
    for image in made[:, 0]:
        inside = image > 0
        heights.append(int(inside.any(1).sum()))
        widths.append(int(inside.any(0).sum()))
    whole = [(h, w) for h, w in zip(heights, widths, strict=True) if h < 38]
    assert len(whole) > 6
    assert all(abs(h - w) <= 2 for h, w in whole)
    assert min(heights) < 18 < 22 < max(heights)  # smaller and larger than 20 px


def test_a_mixture_shows_both_images_and_nothing_else() -> None:
    a, b = torch.full((8, 3, 256, 256), -0.5), torch.full((8, 3, 256, 256), 0.5)
    made = mixed(a, b, seeded(), share=1.0)
    assert float(made.min()) >= -0.5
    assert float(made.max()) <= 0.5
    assert ((made < -0.3).any(dim=(1, 2, 3)) & (made > 0.3).any(dim=(1, 2, 3))).sum() > 5
    assert made.diff(dim=3).abs().max() < 0.2  # no edge


def test_colours_change_within_their_ranges() -> None:
    """Of a grey image: gamma moves it between 0.31 and 0.63, gain and offset a little further."""
    grey = recoloured(torch.zeros(64, 3, 4, 4), seeded()).add(1).div(2)
    assert grey.std(dim=(2, 3)).max() < 1e-6
    assert float(grey.min()) >= 0.5 ** (1.5) * 0.75 - 0.1
    assert float(grey.max()) <= 0.5**0.67 * 1.25 + 0.1
    assert (grey.amax(1) - grey.amin(1)).max() > 0.1


def test_a_mirrored_image_is_mirrored() -> None:
    images = pictures()
    made = mirrored(images, seeded())
    for image, before in zip(made, images, strict=True):
        assert torch.equal(image, before) or torch.equal(image, before.flip(2))


def test_a_blur_keeps_the_mean_and_takes_detail() -> None:
    noise = torch.randn(16, 3, 64, 64, generator=seeded(2))
    made = blurred(noise, seeded(), share=1.0)
    assert (made.mean(dim=(1, 2, 3)) - noise.mean(dim=(1, 2, 3))).abs().max() < 0.01
    spread = made.std(dim=(1, 2, 3))
    assert (spread < 0.99).all()
    assert spread.max() > 2 * spread.min()  # weak ones and strong ones


def test_noise_is_weak_and_differs_between_images() -> None:
    added = noisy(torch.zeros(16, 3, 32, 32), seeded())
    strengths = added.std(dim=(1, 2, 3))
    assert strengths.max() < 0.045
    assert strengths.min() < 0.5 * strengths.max()
