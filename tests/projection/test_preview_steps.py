"""The first steps render a smaller picture, the last ones the whole: both seek one point."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from networks import small_generator
from torch import Tensor

from invert.errors import UsageError
from invert.images.images import area_downscale
from invert.latents.spaces import Space
from invert.projection import batch_size
from invert.projection.descent import Descent
from invert.projection.objective import Networks, Objective, preview_size
from invert.projection.optimization import Step
from invert.projection.project_file import Photograph, ProjectionJob
from invert.projection.projector import project
from invert.projection.settings import PRESETS, ProjectionSettings, preset
from invert.projection.variables import Variables

GENERATOR = small_generator()  # 64 px
PLAIN = ProjectionSettings(
    steps=20,
    warmup=5,
    perceptual="none",
    mse_weight=1.0,
    noise_weight=1e3,
    preview=0.6,
    refresh=5,
)


@pytest.fixture(autouse=True)
def quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks are compared at a quarter, too, as those of 1024 px are."""
    monkeypatch.setattr("invert.metrics.perceptual.PERCEPTUAL_SIDE", 16)


def target(seed: int = 5) -> Tensor:
    return GENERATOR.render(GENERATOR.sample(seed, psi=0.7), "random", seed=9)


def start() -> Tensor:
    return GENERATOR.render(GENERATOR.latent(GENERATOR.w_avg[None]))


def mean_square(x: Tensor) -> float:
    return x.square().mean().item()


@pytest.mark.parametrize("space", ["W", "NW+", "FNW3", "FNW5"])
def test_the_first_steps_show_a_quarter_and_the_others_all(space: str) -> None:
    steps: list[Step] = []
    project(GENERATOR, target(), space, settings=PLAIN, init="mean", callback=steps.append)
    sides = [step.image.shape[3] for step in steps if step.image is not None]
    assert sides == [16] * 12 + [64] * 9


@pytest.mark.parametrize("space", ["NW+", "FNW5"])
def test_smaller_pictures_lead_to_where_whole_ones_lead(space: str) -> None:
    image = target()
    whole = project(GENERATOR, image, space, settings=PLAIN.replace(preview=0), init="mean")
    mixed = project(GENERATOR, image, space, settings=PLAIN, init="mean")
    gained = mean_square(start() - image) - mean_square(whole.image - image)
    assert mean_square(start() - image) - mean_square(mixed.image - image) > 0.8 * gained


def test_the_point_kept_is_one_whose_whole_picture_was_measured() -> None:
    image = target()
    result = project(GENERATOR, image, "FNW5", settings=PLAIN, init="mean")
    whole = {step.step: step.mse for step in result.history if step.step >= 12}
    assert result.best_step == min(whole, key=whole.__getitem__)
    assert mean_square(result.image - image) == pytest.approx(min(whole.values()), rel=1e-4)


def test_what_a_smaller_picture_lacks_is_added() -> None:
    latent = GENERATOR.sample(1, space="FNW3")
    objective = Objective(GENERATOR, target(), Networks(GENERATOR))
    variables = Variables(GENERATOR, [latent], PLAIN)
    inputs = next(objective.inputs(variables).blocks(1))[0]
    true = area_downscale(GENERATOR.render(latent), (16, 16))
    assert mean_square(GENERATOR.preview(latent, 16) - true) > 1e-4
    assert torch.allclose(objective(variables, inputs).image, true, atol=1e-5)


def test_an_interrupt_among_smaller_pictures_keeps_the_best_of_them() -> None:
    def stop(step: Step) -> None:
        if step.step == 8:
            raise KeyboardInterrupt

    image = target()
    result = project(GENERATOR, image, "FNW5", settings=PLAIN, init="mean", callback=stop)
    assert result.stop_reason == "interrupted"
    assert result.best_step > 0
    assert mean_square(result.image - image) < mean_square(start() - image)


def test_patience_does_not_end_the_steps_with_smaller_pictures() -> None:
    settings = PLAIN.replace(lr=1e-6, feature_lr=0, patience=3)
    result = project(GENERATOR, target(), "FNW5", settings=settings, init="mean")
    assert result.history[-1].step >= 12


def test_crops_of_smaller_pictures_come_at_their_own_scale_and_not_in_every_step() -> None:
    settings = PLAIN.replace(crop_weight=0.1, crop_size=32, crop_every=3)
    objective = Objective(GENERATOR, target(), Networks(GENERATOR, None, NoDistance()))
    variables = Variables(GENERATOR, [GENERATOR.sample(1, space="FNW3")], settings)
    inputs = [each for block in objective.inputs(variables).blocks(4) for each in block]
    with_crop = [k for k, each in enumerate(inputs) if each.crop is not None]
    assert with_crop == [0, 3, 6, 9, 12, 15, 18]
    crops = [inputs[k].crop for k in (0, 3, 6, 9)]
    assert {(crop.scale, crop.fraction) for crop in crops if crop} == {(1, 3.0)}
    assert [k for k, each in enumerate(inputs) if each.refresh] == [0, 5, 10]


class NoDistance:
    """Stands for a network whose distances nobody asks for."""


def test_where_there_is_no_smaller_picture_steps_show_the_whole() -> None:
    assert preview_size(GENERATOR, Space.parse("FNW5"), 0.25) == 16
    assert preview_size(GENERATOR, Space.parse("FNW9"), 0.25) == 0  # begins after the 16 px
    assert preview_size(GENERATOR, Space.parse("FNW5"), 1.0) == 0  # compared as whole images
    assert preview_size(GENERATOR, Space.parse("FNW5"), 0.3) == 0


def test_a_share_of_previews_above_one_is_refused() -> None:
    with pytest.raises(UsageError, match=r"preview is a fraction in \[0, 1\], got 1.5"):
        ProjectionSettings(preview=1.5)


@pytest.mark.parametrize("name", PRESETS)
def test_only_drafts_begin_with_smaller_pictures(name: str) -> None:
    assert preset(name, "FNW5").preview == (0.6 if name == "draft" else 0)
    for space in ("NW+", "FNSW5"):
        assert preset(name, space).preview == 0


@pytest.mark.parametrize("refreshes", [True, False])
def test_an_overflow_among_smaller_pictures_costs_one_step(refreshes: bool) -> None:
    objective = Objective(GENERATOR, target(), Networks(GENERATOR))
    descent = Descent(objective, [GENERATOR.sample(2, space="FNW3")], PLAIN)
    inputs = [each for block in objective.inputs(descent.variables).blocks(4) for each in block]
    valid = []
    for each in inputs:
        if int(each.step) == (5 if refreshes else 6):
            assert each.refresh is refreshes
            with torch.no_grad():
                descent.variables.styles.fill_(torch.inf)
        row, _ = descent.step(each)
        valid.append(bool(row[0, 4]))
    assert valid.count(False) == 1
    assert bool(descent.active)


def test_a_batch_is_fitted_to_steps_of_whole_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[ProjectionSettings] = []
    monkeypatch.setattr(batch_size, "free_bytes", lambda device: 1000)
    monkeypatch.setattr(batch_size, "peak_bytes", lambda device: nullcontext([10]))
    monkeypatch.setattr(
        batch_size,
        "project_photographs",
        lambda generator, photographs, job: tried.append(job.settings),
    )
    job = ProjectionJob(Space.parse("FNW5"), PLAIN)
    batch_size.fitting_batch_size(GENERATOR, Photograph(target(), {}, "mean"), job, 8)
    assert [(s.steps, s.preview) for s in tried] == [(1, 0.0)] * 2
