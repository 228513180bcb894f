"""A companion makes nearly the F_i of its point, is likely, and comes with every projection that can have one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from networks import small_generator, small_mobile
from torch import Tensor

import invert.projector
from edits.canvas import crop
from invert.companions import can_have_companion, ensure_companion, own_styles, with_companion
from invert.errors import LatentError
from invert.generator import Generator
from invert.latents import Latent
from invert.projector import project
from invert.settings import ProjectionSettings

QUICK = ProjectionSettings(steps=2, init_steps=2, perceptual="none", crop_weight=0.0)


@pytest.fixture(scope="module", params=["stylegan2", "mobile"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return small_generator(dtype=torch.float64) if request.param == "stylegan2" else small_mobile(torch.float64)


def missed(generator: Generator, latent: Latent, companion: Tensor) -> float:
    """Share of the variance of F_i that the companion's does not explain."""
    made = generator.convert(generator.latent(companion), f"FW{latent.space.layer}")
    assert made.features is not None
    assert latent.features is not None
    return ((made.features - latent.features).square().mean() / latent.features.var()).item()


@pytest.mark.parametrize("space", ["FW2", "FNW4", "FNW5", "FSW5", "FNSW6"])
def test_the_companion_of_a_generated_point_makes_nearly_its_features(generator: Generator, space: str) -> None:
    lost = generator.sample(0, space=space).replace(companion=None)
    found = with_companion(generator, lost).companion
    assert found is not None
    mean = generator.w_avg.expand(1, generator.num_ws, -1)
    assert missed(generator, lost, found) < 0.2 * missed(generator, lost, mean)


def test_an_unlikely_point_gets_a_likely_companion(generator: Generator) -> None:
    statistics = generator.statistics()

    def deviation(ws: Tensor) -> Tensor:
        y = torch.linalg.solve_triangular(statistics.w_factor, (ws[:, :4] - statistics.w_mean).mT, upper=False)
        return y.square().mean()

    far = generator.latent(generator.w_avg + 3 * (generator.sample(0, space="W+").styles - generator.w_avg))  # type: ignore[operator]
    x = generator.convert(far, "FNW5")
    assert x.companion is not None
    found = with_companion(generator, x).companion
    assert found is not None
    assert deviation(found) < deviation(x.companion) / 3


def test_a_batch_gets_the_companions_of_its_points(generator: Generator) -> None:
    x = generator.sample([0, 1, 2], space="FNW5")
    both = with_companion(generator, x).companion
    assert both is not None
    for k in range(3):
        assert torch.allclose(both[k], with_companion(generator, x[k]).companion[0], atol=1e-9)  # type: ignore[index]


def test_later_styles_are_the_points_own(generator: Generator) -> None:
    x = generator.sample(0, space="FNW5")
    x = x.replace(styles=x.styles + 1)  # type: ignore[operator]
    found = with_companion(generator, x).companion
    assert torch.equal(found[:, 4:], x.styles)  # type: ignore[index,arg-type]
    spread = generator.convert(x, "FNSW5")
    assert torch.allclose(own_styles(spread), x.styles)  # type: ignore[arg-type]


def test_a_point_without_room_for_one_is_refused(generator: Generator) -> None:
    assert not can_have_companion(generator, generator.sample(0))
    with pytest.raises(LatentError, match="W has no companion at this size"):
        with_companion(generator, generator.sample(0))
    cut = crop(generator.sample(0, space="FNW5"), (0, 0, 8, 16))
    assert ensure_companion(generator, cut) is cut
    late = small_generator(256, dtype=torch.float64)
    assert can_have_companion(late, late.sample(0, space="FNW7"))
    assert not can_have_companion(late, late.sample(0, space="FNW9"))


def test_features_that_are_the_constant_have_nothing_to_explain(generator: Generator) -> None:
    x = generator.sample(0, space="FW1")
    assert torch.equal(with_companion(generator, x).companion, x.styles)  # type: ignore[arg-type]


@pytest.fixture
def count_fits(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    calls = []

    def counted(generator: Generator, latent: Latent) -> Latent:
        calls.append(latent)
        return with_companion(generator, latent)

    monkeypatch.setattr(invert.projector, "with_companion", counted)
    return lambda: len(calls)


def test_projections_get_one_and_starts_stay_as_they_are(generator: Generator, count_fits: Callable[[], int]) -> None:
    image = generator.render(generator.sample(3))
    found = project(generator, image, "FNW5", settings=QUICK).latent
    assert count_fits() == 1
    assert torch.equal(found.companion, with_companion(generator, found).companion)  # type: ignore[arg-type]
    project(generator, image, "NW+", settings=QUICK)
    project(generator, image, "FNW5", settings=QUICK.replace(steps=0))
    assert count_fits() == 1


def test_an_interrupt_while_it_is_sought_keeps_the_point(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(generator: Generator, latent: Latent) -> Latent:
        raise KeyboardInterrupt

    image = generator.render(generator.sample(3))
    whole = project(generator, image, "FNW5", settings=QUICK)
    monkeypatch.setattr(invert.projector, "with_companion", interrupt)
    stopped = project(generator, image, "FNW5", settings=QUICK)
    assert stopped.stop_reason == stopped.latent.metadata["projection"]["stop_reason"] == "interrupted"
    assert torch.equal(stopped.image, whole.image)
    assert stopped.latent.companion is not None
