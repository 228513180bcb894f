"""A refinement: learned steps of gradient descent after an encoder's look."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from networks import small_checkpoint, small_generator
from searches import short_searches

from invert.encoders.descent import descend, linear
from invert.encoders.encoder import Encoder, new_encoder
from invert.encoders.encoder_files import FORMAT, load_encoder, save_encoder
from invert.encoders.encoding import Encoding
from invert.encoders.refinement import blurred, equalized, soft_sign, unit
from invert.encoders.settings import EncoderSettings
from invert.encoders.slope import Slope, Target, slope_size
from invert.encoders.training import EncoderTraining
from invert.errors import ModelFileError, UsageError
from invert.loading import generator_from_checkpoint

GENERATOR = small_generator()
CELLS = (16, 16)
SETTINGS = EncoderSettings(
    passes=2, batch=2, warped=1, image_batch=1, held_out=2, warmup=1, dist_weight=0.0, perceptual=()
)


@pytest.fixture(scope="module")
def refining() -> Encoder:
    encoder = new_encoder(GENERATOR, 5, passes=2)
    encoder.feature_std.fill_(0.3)
    return encoder.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return GENERATOR.render(GENERATOR.sample([1, 2])).clamp(-1, 1)


def slope(encoding: Encoding, images: torch.Tensor) -> Slope:
    return Target(GENERATOR, 5, images, CELLS).slope(encoding)


def test_a_slope_is_the_gradient_of_each_image_alone(refining, images) -> None:
    encoding = refining(images)
    both, second = slope(encoding, images), slope(encoding.rows(slice(1, 2)), images[1:])
    torch.testing.assert_close(both.distance[1:], second.distance)
    for part, alone in zip(both.gradient, second.gradient, strict=True):
        torch.testing.assert_close(part[1:], alone, rtol=1e-3, atol=1e-7)


def test_a_step_against_the_slope_comes_nearer(refining, images) -> None:
    encoding = refining(images)
    at = slope(encoding, images)
    step = encoding.plus(at.gradient.map(lambda g: -1e-3 * g / g.norm()))
    assert (slope(step, images).distance < at.distance).all()


def test_styles_before_the_layer_have_no_slope_and_stay(refining, images) -> None:
    encoding = refining(images)
    at = slope(encoding, images)
    assert not at.gradient.styles[:, :4].any()
    still = encoding.map(torch.zeros_like)
    refined, velocity = refining.refinement(0, encoding, at, still, refining.feature_std)
    assert not velocity.styles[:, :4].any()
    assert torch.equal(refined.styles[:, :4], encoding.styles[:, :4])
    assert not torch.equal(refined.styles[:, 4:], encoding.styles[:, 4:])


def test_an_untrained_refinement_brings_the_mean_nearer_to_an_image(refining, images) -> None:
    before, after = refining(images), refining.refined(GENERATOR, images)
    assert (slope(after, images).distance < 0.9 * slope(before, images).distance).all()
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_an_encoding_is_refined_where_there_is_a_refinement(refining, images) -> None:
    latent = refining.encode(GENERATOR, images[:1])
    torch.testing.assert_close(latent.features, refining.refined(GENERATOR, images[:1]).features)


def test_the_gradient_has_unit_size_whatever_its_scale() -> None:
    gradient = torch.tensor([[3.0, -4.0], [3e-6, -4e-6]])
    assert unit(gradient).square().mean(1).allclose(torch.ones(2))
    assert unit(torch.zeros(1, 2)).isfinite().all()
    assert soft_sign(torch.tensor([-100.0, 0.0, 0.3]), 0.3).allclose(
        torch.tensor([-1.0, 0.0, 0.5]), atol=4e-3
    )


@pytest.mark.parametrize("size", [(8, 8), (2, 3)])
def test_an_equalized_gradient_has_the_directions_of_the_gradient_and_one_strength(size) -> None:
    maps = torch.randn(2, 16, *size, generator=torch.Generator().manual_seed(0))
    maps = maps * torch.arange(1.0, 17)[:, None, None]
    equal = equalized(maps)
    assert equal.square().mean(dim=(1, 2, 3)).allclose(torch.ones(2))

    u, before, v = torch.linalg.svd(maps.flatten(2), full_matrices=False)
    after = u.mT @ equal.flatten(2) @ v.mT
    strengths = after.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(after, torch.diag_embed(strengths), atol=1e-4, rtol=1e-4)
    assert (before[:, 0] > 4 * before[:, -1]).all() or size == (2, 3)
    assert (strengths.amax(1) < 2 * strengths.amin(1)).all()


def test_an_equalized_gradient_that_is_zero_stays_zero() -> None:
    assert not equalized(torch.zeros(1, 4, 3, 3)).any()


def test_a_blur_keeps_what_is_even_and_spreads_a_cell() -> None:
    still = torch.zeros(2, 1, 3, 3)
    torch.testing.assert_close(blurred(torch.ones(1, 2, 4, 6), still), torch.ones(1, 2, 4, 6))
    cell = torch.zeros(1, 2, 5, 5)
    cell[0, 1, 2, 2] = 1
    spread = blurred(cell, still)
    assert not spread[0, 0].any()
    assert spread.sum().item() == pytest.approx(1)
    assert spread[0, 1, 2, 2] > spread[0, 1, 2, 1] > spread[0, 1, 1, 1] > 0


def test_a_wider_image_is_refined_by_the_same_weights(refining, images) -> None:
    wide = torch.cat([images[:1], images[1:]], 3)
    before, after = refining(wide), refining.refined(GENERATOR, wide)
    assert after.features.shape[2:] == (16, 32)
    target = Target(GENERATOR, 5, wide, (16, 32))
    assert target.slope(after).distance < 0.9 * target.slope(before).distance


def test_velocity_goes_on_where_the_slope_ends(refining, images) -> None:
    encoding = refining(images)
    at, still = slope(encoding, images), encoding.map(torch.zeros_like)
    flat = Slope(at.distance, at.gradient.map(torch.zeros_like))
    once, velocity = refining.refinement(0, encoding, at, still, refining.feature_std)
    again, slower = refining.refinement(1, once, flat, velocity, refining.feature_std)
    torch.testing.assert_close(slower.features, 0.5 * velocity.features)
    moved, first = again.features - once.features, once.features - encoding.features
    torch.testing.assert_close(moved, 0.5 * first, atol=1e-6, rtol=1e-4)


def test_a_file_holds_the_refinement_and_older_files_have_none(refining, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    save_encoder(refining, path, {})
    loaded = load_encoder(path, GENERATOR)
    assert loaded.shape == refining.shape
    for name, value in refining.refinement.state_dict().items():
        assert torch.equal(loaded.refinement.state_dict()[name], value.half().float())

    # A file of version 2 has no such fields.
    save_encoder(new_encoder(GENERATOR, 5), path, {})
    metadata, tensors = FORMAT.read(path)
    fields = {k: v for k, v in metadata.items() if k != "version"}
    new = ("passes", "slope_side")
    fields["shape"] = {k: v for k, v in metadata["shape"].items() if k not in new}
    replace(FORMAT, versions=(2,)).write(path, fields, tensors)
    assert load_encoder(path, GENERATOR).refinement is None


def test_a_refinement_of_an_older_kind_is_refused(refining, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    save_encoder(refining, path, {})
    metadata, tensors = FORMAT.read(path)
    fields = {k: v for k, v in metadata.items() if k != "version"}
    replace(FORMAT, versions=(3,)).write(path, fields, tensors)
    with pytest.raises(ModelFileError, match="its refinement is of an older kind; train it again"):
        load_encoder(path, GENERATOR)


def test_a_layer_with_too_many_cells_has_no_refinement() -> None:
    assert slope_size(GENERATOR, 5) == 32
    with pytest.raises(UsageError, match="layer 9 has 64 cells a side"):
        slope_size(GENERATOR, 9)


def test_settings_of_a_refinement_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match=r"passes are 0 to 8, got 9"):
        EncoderSettings(passes=9)
    with pytest.raises(UsageError, match="a refinement learns from images"):
        EncoderSettings(passes=1, image_batch=0, warped=0)


def test_the_loss_of_an_early_pass_has_the_slopes_gradient(images) -> None:
    encoding = Encoding(torch.ones(1, 2, 1, 1), None, torch.ones(1, 3, 2))
    leaf = encoding.map(lambda t: t.clone().requires_grad_())
    value = linear(encoding.map(lambda t: 3 * t), leaf)
    value.backward()
    assert value == 0
    assert (leaf.features.grad == 3).all()
    assert (leaf.styles.grad == 3).all()


def test_training_a_refinement_leaves_the_encoder_as_it_is() -> None:
    with short_searches():
        run = EncoderTraining(GENERATOR, 5, SETTINGS, [])
        with pytest.raises(UsageError, match="a refinement belongs to an encoder"):
            run.run(steps=1, seconds=None, callback=print, test_every=1)
        plain = new_encoder(GENERATOR, 5)
        run.begin_from(plain, "plain")
        before = {k: v.clone() for k, v in run.model.state_dict().items()}
        run.update(0.0)
    changed = {k for k, v in run.model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert all(name.startswith("refinement.") for name in changed)


def test_training_a_refinement_lowers_the_distance(images) -> None:
    encoder = new_encoder(GENERATOR, 5, passes=2).eval()
    encoder.feature_std.fill_(0.3)
    optimizer = torch.optim.Adam(encoder.refinement.parameters(), lr=3e-3)
    with torch.no_grad():
        start = encoder(images)
    distances = []
    for _ in range(4):
        encoding, early = descend(GENERATOR, encoder, start, images)
        at = slope(encoding, images)
        distances.append(at.distance.mean())
        optimizer.zero_grad()
        (early + linear(at.gradient, encoding)).backward()
        optimizer.step()
    assert distances[-1] < distances[0]


@pytest.mark.parametrize("start", [(4, 6), (8, 4)])
def test_rectangular_pictures_are_refined(start: tuple[int, int]) -> None:
    generator = generator_from_checkpoint(small_checkpoint(64, start=start))
    encoder = new_encoder(generator, 5, passes=2)
    encoder.feature_std.fill_(0.3)
    picture = generator.render(generator.sample(1)).clamp(-1, 1)
    latent = encoder.eval().encode(generator, picture)
    assert generator.render(latent).shape == picture.shape


def test_pictures_too_narrow_to_compare_have_no_refinement() -> None:
    generator = generator_from_checkpoint(small_checkpoint(64, start=(4, 2)))
    with pytest.raises(UsageError, match=r"of 32 px here, 32 px or more on the shorter side"):
        slope_size(generator, 5)
