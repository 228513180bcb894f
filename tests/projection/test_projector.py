"""Planted truth is found, what is saved is what is shown, and nothing but the seed decides the
result.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import pytest
import torch
from networks import small_generator
from torch import Tensor

from invert.errors import LatentError, SpaceError, UsageError
from invert.generator import Generator
from invert.metrics.distribution_distance import distribution_distances
from invert.metrics.perceptual import PerceptualDistance, perceptual_size
from invert.projection.crop import crop_distance, draw_crop
from invert.projection.objective import Networks, Objective
from invert.projection.optimization import Projection, Step
from invert.projection.projector import networks_for, project
from invert.projection.settings import PRESETS, ProjectionSettings, preset
from invert.projection.variables import Variables

GENERATOR = small_generator()
PLAIN = ProjectionSettings(
    steps=30, init_steps=10, warmup=5, perceptual="none", mse_weight=1.0, noise_weight=1e3
)


def target(seed: int = 5, generator: Generator = GENERATOR) -> Tensor:
    return generator.render(generator.sample(seed, psi=0.7), "random", seed=9)


def mse(result: Projection, image: Tensor) -> float:
    return (result.image - image).square().mean().item()


@pytest.mark.parametrize(
    "space", ["W", "NW", "W+", "NW+", "SW+", "NSW+", "FW5", "FNW5", "FSW5", "FNSW5", "FNW1"]
)
def test_every_space_gets_closer_and_is_rendered_as_saved(space: str) -> None:
    image = target()
    start = GENERATOR.render(GENERATOR.latent(GENERATOR.w_avg[None]))
    result = project(GENERATOR, image, space, settings=PLAIN)
    assert str(result.latent.space) == space
    assert mse(result, image) < 0.7 * (start - image).square().mean().item()
    assert torch.equal(result.image, GENERATOR.render(result.latent))
    assert result.stop_reason == "steps"


def test_a_planted_w_is_found() -> None:
    planted = GENERATOR.sample(3, psi=0.5)
    image = GENERATOR.render(planted)
    result = project(GENERATOR, image, "W", settings=PLAIN.replace(steps=400, lr=0.05))
    assert mse(result, image) < 1e-3 * image.var().item()


def test_the_best_step_is_kept_not_the_last() -> None:
    image = target()
    # overshoots at once
    result = project(GENERATOR, image, "W+", settings=PLAIN.replace(lr=3.0, steps=25))
    fits = [step.mse for step in result.history]
    assert result.best_step == min(range(len(fits)), key=fits.__getitem__)
    assert result.best_step < len(fits) - 1
    assert mse(result, image) == pytest.approx(min(fits), rel=1e-4)


def test_zero_steps_return_the_init() -> None:
    start = GENERATOR.sample(1, space="FNW5")
    result = project(GENERATOR, target(), "FNW5", settings=PLAIN.replace(steps=0), init=start)
    assert torch.equal(result.image, GENERATOR.render(start))
    assert result.history == ()
    assert result.best_step == 0


def test_an_init_with_style_maps_survives_the_split_into_base_and_offsets() -> None:
    start = GENERATOR.sample(1, space="FNSW5")
    torch.manual_seed(0)
    maps = tuple(s + 0.1 * torch.randn(1, s.shape[1], 8, 8) for s in start.style_list())
    start = start.replace(styles=maps)
    again = Variables(GENERATOR, [start], PLAIN).latent().detach()
    assert (GENERATOR.render(again) - GENERATOR.render(start)).abs().max() < 1e-5


def test_an_init_with_finer_style_maps_keeps_their_cells() -> None:
    start = GENERATOR.sample(1, space="FNSW5")
    random = torch.Generator().manual_seed(0)
    maps = tuple(
        s + 0.1 * torch.randn(1, s.shape[1], 12, 14, generator=random) for s in start.style_list()
    )
    start = start.replace(styles=maps)
    again = Variables(GENERATOR, [start], PLAIN).latent().detach()
    assert [tuple(s.shape[2:]) for s in again.style_list()] == [(12, 14)] * len(maps)
    assert torch.allclose(GENERATOR.render(again), GENERATOR.render(start), atol=1e-5)


@pytest.mark.parametrize(
    ("space", "changes", "reason"),
    [
        ("W", {"mse_weight": 0.0}, "no term compares the images: mse_weight is 0"),
        (
            "W",
            {"mse_weight": 0.0, "perceptual": "lpips-vgg", "perceptual_weight": 0.0},
            "no term compares the images",
        ),
        ("NZ", {"dist_weight": 0.1}, "NZ has no part whose distribution could be regularized"),
    ],
)
def test_settings_without_anything_to_minimize_are_refused(
    space: str, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        project(GENERATOR, target(), space, settings=PLAIN.replace(**changes))


def test_the_same_seed_gives_the_same_result_and_the_global_seed_is_untouched() -> None:
    settings = PLAIN.replace(w_noise=0.05, steps=10)
    state = torch.random.get_rng_state()
    results = [project(GENERATOR, target(), "NW", settings=settings, seed=s) for s in (0, 0, 1)]
    assert torch.equal(results[0].image, results[1].image)
    assert not torch.equal(results[0].image, results[2].image)
    assert torch.equal(state, torch.random.get_rng_state())


def test_noise_maps_stay_standardized() -> None:
    result = project(GENERATOR, target(), "FNW5", settings=PLAIN)
    assert result.latent.noise is not None
    for n in result.latent.noise:
        assert abs(n.mean().item()) < 1e-5
        assert n.square().mean().item() == pytest.approx(1, abs=1e-4)


def test_divergence_is_reported_and_the_best_point_kept() -> None:
    image = target()

    def poison(step: Step) -> None:
        if step.step == 3:  # a weight that overflows makes every later loss infinite
            GENERATOR.network.convs[-1].bias.fill_(math.nan)

    bias = GENERATOR.network.convs[-1].bias.clone()
    try:
        result = project(GENERATOR, image, "W+", settings=PLAIN, callback=poison)
    finally:
        GENERATOR.network.convs[-1].bias.copy_(bias)
    assert result.stop_reason == "diverged"
    assert result.best_step <= 3
    assert all(bool(t.isfinite().all()) for t in result.latent.tensors())


class Overflow(torch.nn.Module):
    """The picture as it is, which a perceptual distance may be of; in one call no numbers."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.calls_left = call

    def forward(self, x: Tensor) -> Tensor:
        self.calls_left -= 1
        return x * math.nan if self.calls_left == 0 else x


def test_a_passing_overflow_is_recovered_from() -> None:
    # the target, three steps, and the one that overflows
    distance = PerceptualDistance("colours", [Overflow(1 + 3 + 1)], [torch.ones(3)])
    result = project(GENERATOR, target(), "W+", settings=PLAIN, perceptual=distance)
    assert [step.step for step in result.history] == [k for k in range(PLAIN.steps + 1) if k != 3]
    assert result.stop_reason == "steps"
    assert result.best_step > 3
    assert result.history[-1].lr == pytest.approx(PLAIN.lr / 2)


def test_an_interrupt_returns_the_best_so_far() -> None:
    def stop(step: Step) -> None:
        if step.step == 5:
            raise KeyboardInterrupt

    result = project(GENERATOR, target(), "W+", settings=PLAIN, callback=stop)
    assert result.stop_reason == "interrupted"
    assert len(result.history) == 6
    assert torch.equal(result.image, GENERATOR.render(result.latent))


def test_distribution_regularization_pulls_the_parts_towards_generated_ones() -> None:
    settings = PLAIN.replace(steps=60, lr=0.3, init_steps=0)
    free = project(GENERATOR, target(), "FNW5", settings=settings).latent
    held = project(GENERATOR, target(), "FNW5", settings=settings.replace(dist_weight=10.0)).latent
    before, after = distribution_distances(GENERATOR, free), distribution_distances(GENERATOR, held)
    assert set(before) == {"styles", "features", "rgb"}
    for part in before:
        assert after[part] < 0.5 * before[part], part


def test_wider_photographs_give_wider_maps() -> None:
    image = torch.cat([target(5), target(6)], 3)
    result = project(GENERATOR, image, "FNW5", settings=PLAIN)
    assert result.latent.features is not None
    assert result.latent.features.shape[2:] == (16, 32)
    assert result.image.shape == image.shape


def test_the_callback_sees_every_step_of_both_stages_with_its_image() -> None:
    seen: list[Step] = []
    result = project(GENERATOR, target(), "FNW5", settings=PLAIN, callback=seen.append)
    assert [s.step for s in seen if s.stage == "init"] == list(range(PLAIN.init_steps + 1))
    assert [s.step for s in seen if s.stage == "project"] == list(range(PLAIN.steps + 1))
    assert all(s.image is not None and s.image.shape == (1, 3, 64, 64) for s in seen)
    assert all(s.image is None for s in result.history)


@pytest.mark.parametrize(
    ("image", "space", "reason"),
    [
        (torch.zeros(1, 1, 64, 64), "W", "expected one image"),
        (torch.full((1, 3, 64, 64), math.nan), "W", "finite"),
        (torch.zeros(1, 3, 64, 96), "W+", "64 px squares"),
        (torch.zeros(1, 3, 64, 68), "FNW5", "multiples of 8 px"),
        (torch.zeros(1, 3, 64, 64), "FNW99", "^FNW99: this generator has layers 1 to 10"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_the_reason(
    image: Tensor, space: str, reason: str
) -> None:
    with pytest.raises((UsageError, SpaceError), match=reason):
        project(GENERATOR, image, space, settings=PLAIN)


def test_an_init_of_another_size_is_refused() -> None:
    with pytest.raises(LatentError, match="the init renders"):
        project(
            GENERATOR, torch.zeros(1, 3, 64, 128), "FNW5", settings=PLAIN, init=GENERATOR.sample(0)
        )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": -1}, "steps"), ({"steps": 10**12}, "steps"), ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": math.nan}, "lr is a number"), ({"dist_weight": -1.0}, "dist_weight"),
        ({"mse_weight": math.inf}, "mse_weight"), ({"cooldown": 1.5}, "cooldown"),
        ({"beta1": 1.0}, "beta1 is a decay"), ({"beta2": 1.0}, "beta2 is a decay"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes: dict[str, float], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        ProjectionSettings().replace(**changes)


ADAM = {"beta1": 0.9, "beta2": 0.999}  # D. P. Kingma and J. Ba, ICLR 2015, algorithm 1
# [S] chapter 6: Adam at 0.1 after 50 steps of linear rise; distance and squared error 1 : 0.25;
# noise 4e5.
THESIS = {
    "lr": 0.1,
    "warmup": 50,
    "cooldown": 0,
    "perceptual_weight": 1,
    "mse_weight": 0.25,
    "noise_weight": 4e5,
}
# [K] appendix D: 1000 steps; the rate rises over the first 5 % to 0.1 and falls as a cosine over
# the last 25 %;
# the LPIPS distance and 1e5 times the noise term, no squared error; noise of 0.05 σ_w t² on w.
STYLEGAN2 = {
    "steps": 1000, "lr": 0.1, "warmup": 0.05 * 1000, "cooldown": 0.25,
    "perceptual_weight": 1, "mse_weight": 0, "noise_weight": 1e5, "w_noise": 0.05,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "space", "source"),
    [
        ("thesis", "FNW5", {"steps": 250, **THESIS, **ADAM}),
        ("thesis", "NW+", {"steps": 1000, **THESIS, **ADAM}),
        ("stylegan2", "W", {**STYLEGAN2, **ADAM}),
        ("stylegan2", "NW", {**STYLEGAN2, **ADAM}),
    ],
)
def test_presets_are_those_of_their_sources(
    name: str, space: str, source: dict[str, float]
) -> None:
    found = asdict(preset(name, space))
    assert {knob: found[knob] for knob in source} == source
    # neither source has such a term by default
    assert (found["crop_weight"], found["dist_weight"]) == (0, 0)


def test_fast_differs_from_the_thesis_where_the_docs_say_so() -> None:
    """The table of presets in docs/projection.md."""

    def changes(space: str) -> set[str]:
        fast, thesis = (asdict(preset(name, space)) for name in ("fast", "thesis"))
        return {knob for knob in fast if fast[knob] != thesis[knob]}

    everywhere = {"steps", "init_steps", "mse_weight", "crop_weight", "warmup", "cooldown", "half"}
    assert changes("NW+") == changes("W") == changes("FNSW5") == everywhere
    vectors = everywhere | {"lr", "feature_lr", "beta1", "beta2", "dist_weight"}
    vectors |= {"perceptual_weight", "perceptual_start", "crop_every", "companion_steps"}
    assert changes("FNW5") == changes("FW5") == vectors


@pytest.mark.parametrize("name", PRESETS)
def test_the_first_stage_has_the_usual_betas_and_no_distribution_term(name: str) -> None:
    settings = preset(name, "FNW5")
    first = settings.for_init()
    assert (first.steps, first.lr) == (settings.init_steps, settings.init_lr)
    assert {knob: asdict(first)[knob] for knob in ADAM} == ADAM
    assert (first.dist_weight, first.preview, first.perceptual_start) == (0, 0, 1)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="known: fast, draft, thesis, stylegan2"):
        preset("best", "W")


@pytest.mark.parametrize(
    ("resolution", "side", "expected"),
    [(1024, 1024, 256), (512, 512, 256), (256, 256, 256), (64, 64, 64)],
)
def test_the_perceptual_distance_sees_a_quarter_but_no_less_than_256_px(
    resolution: int, side: int, expected: int
) -> None:
    assert perceptual_size(resolution, torch.zeros(1, 3, side, 2 * side)) == (
        expected,
        2 * expected,
    )


def pixel_distance() -> PerceptualDistance:
    """Compares colours at the scale it is shown, and nothing else."""
    return PerceptualDistance("colours", [torch.nn.Identity()], [torch.ones(3)])


def crop_distances(image: Tensor, other: Tensor, count: int = 60) -> list[float]:
    random = torch.Generator().manual_seed(0)
    crops = [draw_crop((64, 64), 32, random) for _ in range(count)]
    distances = [crop_distance(pixel_distance(), other, image, 32, crop) for crop in crops]
    return [d.item() for d in distances]


def test_crops_see_texture_that_only_full_size_shows_and_larger_things_at_every_scale() -> None:
    image = target()
    checker = (torch.arange(64)[:, None] + torch.arange(64)) % 2 * 2.0 - 1
    assert max(crop_distances(image, image)) == pytest.approx(0, abs=1e-6)
    fine = crop_distances(image, image + checker)
    assert 0.3 < sum(d > 1e-3 for d in fine) / len(fine) < 0.7  # one scale of two
    assert min(crop_distances(image, -image)) > 1e-3


def test_crops_reach_every_corner_at_every_scale() -> None:
    image = torch.zeros(1, 3, 64, 64)
    for y, x in ((0, 0), (0, 63), (63, 0), (63, 63)):
        other = image.clone()
        other[:, :, y, x] = 1
        assert max(crop_distances(image, other, count=1000)) > 1e-5


def test_an_image_smaller_than_a_crop_is_seen_whole() -> None:
    image = target()
    whole = pixel_distance()(image, -image).item()
    crop = draw_crop((64, 64), 1024, torch.Generator().manual_seed(0))
    distance = crop_distance(pixel_distance(), -image, image, 1024, crop)
    assert distance.item() == pytest.approx(whole)


def test_the_crop_term_takes_part_by_its_weight_and_not_in_the_choice_of_the_best() -> None:
    image, init = target(), GENERATOR.sample(1, space="FNW5")
    objective = Objective(GENERATOR, image, Networks(GENERATOR, None, pixel_distance()))
    terms = {}
    for weight in (0.0, 1.0):
        variables = Variables(GENERATOR, [init], PLAIN.replace(crop_weight=weight, crop_size=32))
        first = next(objective.inputs(variables).blocks(1))[0]
        terms[weight] = objective(variables, first)
    assert terms[1.0].loss.item() > terms[0.0].loss.item() + 1e-3
    assert terms[1.0].fit.item() == pytest.approx(terms[0.0].fit.item())


def test_the_perceptual_weight_rises_while_points_are_compared_at_its_last_value() -> None:
    image, init = target(), GENERATOR.sample(1, space="FNW5")
    objective = Objective(GENERATOR, image, Networks(GENERATOR, pixel_distance()))
    settings = PLAIN.replace(
        perceptual="colours", perceptual_weight=2.0, perceptual_start=0.25, noise_weight=0.0
    )
    variables = Variables(GENERATOR, [init], settings)
    inputs = [each for block in objective.inputs(variables).blocks(8) for each in block]
    first, last = (objective(variables, inputs[k]) for k in (0, -1))

    distance = first.perceptual.item()
    assert distance == last.perceptual.item() > 0
    assert last.loss.item() - first.loss.item() == pytest.approx(1.5 * distance)
    assert first.fit.item() == pytest.approx(last.fit.item())
    assert last.fit.item() == pytest.approx(last.loss.item())


def test_distances_are_loaded_only_where_the_settings_ask_for_them() -> None:
    given = pixel_distance()
    assert networks_for(GENERATOR, PLAIN.replace(crop_weight=1.0), None, None) == Networks(
        GENERATOR
    )
    settings = PLAIN.replace(perceptual="st-lpips-alex")
    assert networks_for(GENERATOR, settings, given, None) == Networks(GENERATOR, given)
    assert networks_for(GENERATOR, settings.replace(crop_weight=1.0), given, given) == Networks(
        GENERATOR, given, given
    )
    same = settings.replace(crop_weight=1.0, crop_perceptual="colours")
    assert networks_for(GENERATOR, same, given, None) == Networks(GENERATOR, given, given)
    with pytest.raises(UsageError, match="none-such"):
        networks_for(
            GENERATOR, settings.replace(crop_weight=1.0, crop_perceptual="none-such"), given, None
        )


def test_half_precision_halves_the_networks_of_the_steps_and_no_result() -> None:
    image = target()
    # slow where emulated
    settings = PLAIN.replace(half=True, crop_weight=0.1, crop_size=32, steps=6, init_steps=3)
    networks = networks_for(
        GENERATOR, settings.replace(perceptual="colours"), pixel_distance(), pixel_distance()
    )
    assert networks.whole is not None
    assert networks.crop is not None
    assert {
        t.dtype
        for n in (networks.generator.network, networks.whole, networks.crop)
        for t in n.buffers()
    } == {torch.bfloat16}
    result = project(GENERATOR, image, "FNW5", settings=settings, perceptual=pixel_distance())
    assert {t.dtype for t in result.latent.tensors()} == {torch.float32}
    assert torch.equal(result.image, GENERATOR.render(result.latent))
    assert GENERATOR.dtype == torch.float32
    full = project(
        GENERATOR, image, "FNW5", settings=settings.replace(half=False), perceptual=pixel_distance()
    )
    assert mse(result, image) == pytest.approx(mse(full, image), rel=0.1)
    assert not torch.equal(result.image, full.image)
