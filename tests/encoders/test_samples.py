"""What encoders are trained on: points, their images, noise."""

from __future__ import annotations

import pytest
import torch
from networks import small_generator, small_mobile

from invert.encoders.batches import Batches
from invert.encoders.rendering import Renderer
from invert.encoders.samples import Samples, moved
from invert.encoders.settings import EncoderSettings
from invert.encoders.white_noise import white_noise
from invert.errors import UsageError
from invert.images.images import area_downscale
from invert.latents.latent import Latent
from invert.latents.spaces import Space

GENERATOR = small_generator()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "generator",
    [GENERATOR, small_generator(c_dim=3), small_mobile(), small_generator(start=(4, 8))],
    ids=lambda g: f"{g.name}, {g.c_dim} classes, {g.image_size}",
)
def test_images_of_a_batch_are_what_the_generator_renders_of_its_points(generator) -> None:
    samples, renderer = Samples(generator, 5, seed=3), Renderer(generator, 5, 32)
    points, noise = samples.points(7, 3)
    images = renderer.without_gradients(points, noise)
    latent = Latent(
        Space("W+", 5, noise=True),
        points.styles[:, 4:].clone(),
        generator.fingerprint,
        features=points.features,
        rgb=points.rgb,
        noise=tuple(noise),
    )
    whole = area_downscale(generator.render(latent), renderer.size).clamp(-1, 1)
    assert torch.allclose(images, whole, atol=1e-4)
    assert min(images.shape[2:]) == 32 * generator.image_size[0] // 64


@pytest.mark.parametrize("generator", [small_generator(128), small_mobile()], ids=lambda g: g.name)
def test_previews_are_those_of_the_generator_and_have_gradients(generator) -> None:
    side = generator.resolution // 2
    points, noise = Samples(generator, 5).points(0, 2)
    latent = Latent(
        Space("W+", 5, noise=True),
        points.styles[:, 4:].clone(),
        generator.fingerprint,
        features=points.features,
        rgb=points.rgb,
        noise=tuple(noise),
    )
    points.styles.requires_grad_()
    images = Renderer(generator, 5, side, previews=True)(points, noise)
    assert torch.allclose(images, generator.preview(latent, side), atol=1e-4)
    images.square().sum().backward()
    assert points.styles.grad[:, 4:].abs().max() > 0


def test_a_size_without_a_preview_is_rendered_whole() -> None:
    points, noise = Samples(GENERATOR, 5).points(0, 1)
    whole, preview = (Renderer(GENERATOR, 5, 64, previews=p) for p in (False, True))
    assert torch.equal(whole(points, noise), preview(points, noise))


def test_a_batch_depends_on_its_number_and_the_seed_alone() -> None:
    samples = Samples(GENERATOR, 5, seed=3)
    first, other, again = samples.points(0, 2), samples.points(1, 2), samples.points(0, 2)
    assert all(torch.equal(a, b) for a, b in zip(first.encoding, again.encoding, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first.noise, again.noise, strict=True))
    assert not torch.equal(first.encoding.styles, other.encoding.styles)
    assert not torch.equal(
        first.encoding.styles, Samples(GENERATOR, 5, seed=4).points(0, 2).encoding.styles
    )


def test_sets_of_samples_are_numbered() -> None:
    with pytest.raises(UsageError, match=r"seed is an integer in \[0, 1024\), got 1024"):
        Samples(GENERATOR, 5, seed=1024)


def test_some_points_mix_two_styles_and_others_do_not() -> None:
    styles = Samples(GENERATOR, 5, mixing=0.5).points(0, 20).encoding.styles
    constant = (styles == styles[:, :1]).all(dim=(1, 2))
    assert 0 < int(constant.sum()) < 20
    changes = (styles.diff(dim=1) != 0).any(dim=2).sum(dim=1)
    assert int(changes.max()) == 1  # two w at most, one after the other


def test_truncation_lies_in_its_range() -> None:
    """At psi 0 all styles are the mean; a range gives points of different psi."""
    mean = Samples(GENERATOR, 5, psi=(0.0, 0.0)).points(0, 4).encoding.styles
    assert torch.allclose(mean, GENERATOR.w_avg.expand_as(mean))


def test_some_points_are_moved_by_whole_cells_of_all_their_maps() -> None:
    """In this generator F_5 has 16 cells a side and R_5 8, of which a fifth is 2."""
    still, shifted = (
        Samples(GENERATOR, 5, moved=share).points(0, 12).encoding for share in (0.0, 1.0)
    )
    assert torch.equal(still.styles, shifted.styles)
    places = set()
    for k in range(12):
        x, y = found_move(still.features[k], shifted.features[k])
        assert (x % 2, y % 2) == (0, 0)
        assert (x, y) == tuple(2 * d for d in found_move(still.rgb[k], shifted.rgb[k]))
        assert max(abs(x), abs(y)) <= 4
        places.add((x, y))
    assert len(places) > 3
    some = Samples(GENERATOR, 5).points(0, 12).encoding
    different = (some.features != still.features).any(dim=(1, 2, 3))
    assert 0 < int(different.sum()) < 9


def found_move(before: torch.Tensor, after: torch.Tensor) -> tuple[int, int]:
    """By how many cells (right, down) the content of a map went."""
    side = before.shape[2]
    for x in range(-side // 4, side // 4 + 1):
        for y in range(-side // 4, side // 4 + 1):
            there = after[:, max(y, 0) : side + min(y, 0), max(x, 0) : side + min(x, 0)]
            here = before[:, max(-y, 0) : side + min(-y, 0), max(-x, 0) : side + min(-x, 0)]
            if torch.equal(here, there):
                return x, y
    raise AssertionError("not moved by whole cells")


def test_what_comes_in_is_the_mirror_image() -> None:
    row = torch.arange(4.0).expand(2, 1, 3, 4)
    result = moved(row, torch.tensor([[0.0, 0.25], [0.0, -0.5]]))
    assert result[0, 0, 0].tolist() == [1, 0, 1, 2]
    assert result[1, 0, 0].tolist() == [2, 3, 2, 1]


def test_noise_of_a_batch_is_white_and_of_no_two_maps_alike() -> None:
    noise = white_noise(8, 3, (32, 32), seeded(0), torch.zeros(()))
    assert noise.shape == (8, 3, 32, 32)
    assert abs(float(noise.mean())) < 0.05
    assert float(noise.std()) == pytest.approx(1, abs=0.05)
    flat = noise.flatten(1)
    assert (torch.corrcoef(flat) - torch.eye(8)).abs().max() < 0.1
    assert torch.equal(noise, white_noise(8, 3, (32, 32), seeded(0), torch.zeros(())))


def test_a_batch_holds_warped_images_then_samples_and_what_they_should_look_like() -> None:
    settings = EncoderSettings(batch=4, image_batch=2, warped=1, input_noise=0.0)
    samples, renderer = Samples(GENERATOR, 5), Renderer(GENERATOR, 5, 64)
    batch = Batches(samples, renderer, settings)[3]
    assert batch.warped == 1
    assert len(batch.images) == 5
    assert torch.equal(batch.targets, batch.images[:3])
    assert torch.equal(batch.images[1:], renderer.without_gradients(*samples.points(3, 4)))
    assert [len(t) for t in batch.noise] == [3] * len(batch.noise)
    noisy = Batches(samples, renderer, EncoderSettings(batch=4, image_batch=2, warped=1))[3]
    assert torch.equal(noisy.points.features, batch.points.features)
    assert 0.005 < float((noisy.images[1:] - batch.images[1:]).std()) < 0.02
