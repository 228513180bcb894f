"""Projections into Z spaces: z is optimized with F and the noise, in generators of every kind."""

from __future__ import annotations

import pytest
import torch
from networks import small_generator, small_map_generator, small_mobile
from torch import Tensor

from edits.along_direction import move
from invert.generator import Generator
from invert.latents.statistics import central_z
from invert.metrics.distribution_distance import distribution_distances
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings, preset

PLAIN = ProjectionSettings(
    steps=15,
    init_steps=10,
    warmup=5,
    perceptual="none",
    mse_weight=1.0,
    noise_weight=1e3,
    companion_steps=2,
)


def within_range(generator: Generator) -> Generator:
    """The generator with images inside [−1, 1], where photographs are."""
    network = generator.network
    for name, weight in network.named_buffers():
        if name == "head_weight":
            weight.mul_(0.002)
        elif name.startswith("torgbs") and "affine" not in name:
            weight.mul_(0.1)
    return generator


GENERATORS = {
    "plain": within_range(small_generator(32)),
    "conditional": within_range(small_generator(32, c_dim=3)),
    "map": within_range(small_map_generator(resolution=32)),
    "mobile": within_range(small_mobile()),
}


def error(image: Tensor, target: Tensor) -> float:
    return (image - target).square().mean().item()


def sampled(generator: Generator, space: str, seed: int = 5) -> Tensor:
    label = 1 if generator.c_dim else None
    return generator.render(generator.sample(seed, space=space, label=label))


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("space", ["Z", "NZ", "FZ3", "FNZ5"])
def test_z_spaces_get_closer_and_are_rendered_as_saved(kind: str, space: str) -> None:
    generator = GENERATORS[kind]
    image = sampled(generator, space)
    start = project(generator, image, space, settings=PLAIN.replace(steps=0), init="mean")
    result = project(generator, image, space, settings=PLAIN, init="mean")
    assert error(result.image, image) < 0.9 * error(start.image, image)
    assert str(result.latent.space) == space
    assert torch.equal(result.image, generator.render(result.latent))
    assert not torch.equal(result.latent.style_tensor(), start.latent.style_tensor())


def test_a_planted_z_is_approached() -> None:
    generator = GENERATORS["plain"]
    image = sampled(generator, "Z")
    result = project(generator, image, "Z", settings=PLAIN.replace(steps=100))
    assert error(result.image, image) < 0.1 * image.var().item()


def test_z_keeps_its_length() -> None:
    result = project(
        GENERATORS["plain"], sampled(GENERATORS["plain"], "FNZ3"), "FNZ3", settings=PLAIN
    )
    mean_square = result.latent.style_tensor().square().mean().item()
    assert mean_square == pytest.approx(1, abs=0.05)


def test_a_sampled_map_is_found_with_its_noise_and_z() -> None:
    generator = GENERATORS["map"]
    image = sampled(generator, "FNZ3")
    settings = PLAIN.replace(steps=100, dist_weight=0.01)
    result = project(generator, image, "FNZ3", settings=settings, init="mean")
    assert error(result.image, image) < 0.1 * image.var().item()
    # R_3 = 0 is all that such a generator knows.
    assert result.latent.rgb is not None
    assert not result.latent.rgb.any()


def test_features_keep_their_distribution_where_styles_are_z() -> None:
    generator = GENERATORS["map"]
    image = torch.zeros(1, 3, 32, 32)
    far, near = (
        project(generator, image, "FZ3", settings=PLAIN.replace(dist_weight=weight), init="mean")
        for weight in (0, 10)
    )
    distances = [distribution_distances(generator, p.latent) for p in (far, near)]
    assert set(distances[0]) == {"features", "rgb"}
    assert distances[1]["features"] < 0.5 * distances[0]["features"]


def test_two_stages_keep_the_z_of_the_first() -> None:
    generator = GENERATORS["plain"]
    image = sampled(generator, "FNZ3")
    result = project(generator, image, "FNZ3", settings=PLAIN.replace(steps=0))
    assert result.latent.metadata["projection"]["start"] == "two-stage"
    first = project(generator, image, "NZ", settings=PLAIN.for_init())
    assert torch.equal(result.latent.style_tensor(), first.latent.style_tensor())


def test_the_init_is_a_z_whose_w_is_near_the_mean() -> None:
    for kind in ("plain", "conditional"):
        generator = GENERATORS[kind]
        z, label = central_z(generator.network, generator.w_avg)
        distance = (generator.mapping(z, label) - generator.w_avg).norm()
        assert distance < generator.statistics().w_std
        assert (label is None) == (kind == "plain")


def test_a_projection_has_a_companion_and_can_be_edited() -> None:
    generator = GENERATORS["plain"]
    image = sampled(generator, "FNZ5")
    latent = project(generator, image, "FNZ5", settings=PLAIN).latent
    assert latent.companion is not None
    assert latent.companion.styles.shape == (1, generator.num_ws, generator.w_dim)
    offset = torch.ones(generator.num_ws, generator.w_dim)
    moved = move(generator, latent, offset)
    assert str(moved.space) == "FNW5"
    assert not torch.equal(moved.features, latent.features)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["fast", "draft", "stylegan2"])
def test_presets_run_in_z_spaces(name: str) -> None:
    generator = GENERATORS["map"]
    settings = preset(name, "FNZ3").replace(
        steps=4, init_steps=2, perceptual="none", crop_weight=0.0, mse_weight=1.0, half=False
    )
    result = project(generator, sampled(generator, "FNZ3"), "FNZ3", settings=settings)
    assert result.stop_reason == "steps"
