"""A companion makes nearly the F_i of its point, is likely, and comes with every projection that
can have one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from networks import small_generator, small_mobile
from torch import Tensor

from edits.canvas import crop
from invert.errors import LatentError, UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.statistics import Statistics
from invert.projection.companion import (
    can_have_companion,
    ensure_companion,
    later_styles,
    with_companion,
)
from invert.projection.optimization import Projection, Step
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings

QUICK = ProjectionSettings(
    steps=2, init_steps=2, perceptual="none", crop_weight=0.0, companion_steps=20
)


@pytest.fixture(scope="module", params=["stylegan2", "mobile"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return (
        small_generator(dtype=torch.float64)
        if request.param == "stylegan2"
        else small_mobile(torch.float64)
    )


def missed(generator: Generator, latent: Latent, companion: Tensor) -> float:
    """Share of the variance of F_i that the companion's does not explain."""
    made = generator.convert(generator.latent(companion), f"FW{latent.space.layer}")
    assert made.features is not None
    assert latent.features is not None
    return ((made.features - latent.features).square().mean() / latent.features.var()).item()


@pytest.mark.parametrize("space", ["FW2", "FNW4", "FNW5", "FSW5", "FNSW6"])
def test_the_companion_of_a_generated_point_makes_nearly_its_features(
    generator: Generator, space: str
) -> None:
    lost = generator.sample(0, space=space).replace(companion=None)
    found = with_companion(generator, lost).companion.styles
    assert found is not None
    mean = generator.w_avg.expand(1, generator.num_ws, -1)
    assert missed(generator, lost, found) < 0.2 * missed(generator, lost, mean)


def test_an_unlikely_point_gets_a_likely_companion(generator: Generator) -> None:
    statistics = generator.statistics()

    def deviation(ws: Tensor) -> Tensor:
        y = torch.linalg.solve_triangular(
            statistics.w_factor, (ws[:, :4] - statistics.w_mean).mT, upper=False
        )
        return y.square().mean()

    far = generator.latent(
        generator.w_avg + 3 * (generator.sample(0, space="W+").styles - generator.w_avg)
    )
    x = generator.convert(far, "FNW5")
    assert x.companion is not None
    found = with_companion(generator, x).companion.styles
    assert found is not None
    assert deviation(found) < deviation(x.companion.styles) / 3


def test_a_batch_gets_the_companions_of_its_points(generator: Generator) -> None:
    x = generator.sample([0, 1, 2], space="FNW5")
    both = own_companion(generator, x)
    for k in range(3):
        assert torch.allclose(both[k], own_companion(generator, x[k])[0], atol=1e-9)


def test_later_styles_are_the_points_own(generator: Generator) -> None:
    x = generator.sample(0, space="FNW5")
    x = x.replace(styles=x.style_tensor() + 1)
    found = with_companion(generator, x).companion.styles
    assert torch.equal(found[:, 4:], x.styles)
    spread = generator.convert(x, "FNSW5")
    assert torch.allclose(later_styles(spread), x.styles)


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
    assert torch.equal(with_companion(generator, x).companion.styles, x.styles)


def photograph(generator: Generator) -> Tensor:
    """What the generator might make, in [−1, 1]."""
    image = generator.render(generator.sample(3), "random", seed=4)
    return image / image.abs().max()


def own_companion(generator: Generator, latent: Latent, early: Latent | None = None) -> Tensor:
    """What :func:`with_companion` finds in the steps that the projections here give it."""
    found = with_companion(generator, latent, early, steps=QUICK.companion_steps).companion.styles
    assert found is not None
    return found


def test_projections_get_one_and_starts_stay_as_they_are(generator: Generator) -> None:
    image, init = photograph(generator), generator.sample(5, space="FNW5")
    found = project(generator, image, "FNW5", settings=QUICK, init=init).latent
    assert found.companion is not None
    assert torch.equal(found.companion.styles, own_companion(generator, found))
    assert project(generator, image, "NW+", settings=QUICK).latent.companion is None
    start = project(generator, image, "FNW5", settings=QUICK.replace(steps=0), init=init).latent
    assert start.companion is not None
    assert init.companion is not None
    assert torch.equal(start.companion.styles, init.companion.styles)


def test_the_steps_of_the_search_are_those_of_the_settings(generator: Generator) -> None:
    x = generator.sample(0, space="FNW5")
    few, more = (with_companion(generator, x, steps=steps).companion.styles for steps in (1, 2))
    assert few is not None
    assert more is not None
    assert not torch.equal(few, more)
    with pytest.raises(UsageError, match="companion_steps is an integer in"):
        ProjectionSettings(companion_steps=0)


def test_an_interrupt_while_it_is_sought_keeps_the_point(generator: Generator) -> None:
    image, init = photograph(generator), generator.sample(5, space="FNW5")
    whole = project(generator, image, "FNW5", settings=QUICK, init=init)
    stopped = project(
        Interrupted.from_generator(generator), image, "FNW5", settings=QUICK, init=init
    )
    assert (
        stopped.stop_reason == stopped.latent.metadata["projection"]["stop_reason"] == "interrupted"
    )
    assert torch.equal(stopped.image, whole.image)
    assert stopped.latent.companion is not None


class Interrupted(Generator):
    """A generator whose statistics, which the search for a companion begins with, take until
    somebody interrupts.
    """

    @classmethod
    def from_generator(cls, generator: Generator) -> Interrupted:
        interrupted = copy.copy(generator)
        interrupted.__class__ = cls
        assert isinstance(interrupted, Interrupted)
        return interrupted

    def statistics(self) -> Statistics:
        raise KeyboardInterrupt


LONG = QUICK.replace(steps=30, warmup=0, cooldown=0.5, early_steps=4)


def interrupt_at(step: int) -> Callable[[Step], None]:
    def callback(entry: Step) -> None:
        if entry.step == step:
            raise KeyboardInterrupt

    return callback


def test_that_of_a_long_run_explains_its_early_point(generator: Generator) -> None:
    image = photograph(generator)
    init = generator.sample(5, space="FNW5")
    plain = project(generator, image, "FNW5", settings=LONG.replace(early_steps=30), init=init)
    assert plain.early is None
    long = project(generator, image, "FNW5", settings=LONG, init=init)
    cut = project(generator, image, "FNW5", settings=LONG, init=init, callback=interrupt_at(4))
    assert torch.equal(long.image, plain.image)
    assert long.best_step > 4
    assert long.early is not None
    assert cut.early is None
    for early, same in zip(long.early.tensors(), cut.latent.tensors(), strict=True):
        assert torch.equal(early, same)
    found = long.latent.companion.styles
    assert found is not None
    own = later_styles(long.latent)
    assert torch.equal(found[:, -own.shape[1] :], own)
    seen = own_companion(generator, long.early)
    assert torch.equal(found[:, : -own.shape[1]], seen[:, : -own.shape[1]])
    assert not torch.equal(found, plain.latent.companion.styles)


def test_only_an_early_interrupt_leaves_it_to_the_first_edit(generator: Generator) -> None:
    image, init = photograph(generator), generator.sample(5, space="FNW5")
    assert init.companion is not None

    def stopped_at(step: int) -> Projection:
        stopped = project(
            generator, image, "FNW5", settings=LONG, init=init, callback=interrupt_at(step)
        )
        assert stopped.stop_reason == "interrupted"
        return stopped

    soon, late = stopped_at(3), stopped_at(20)
    assert soon.latent.companion is not None
    assert torch.equal(soon.latent.companion.styles, init.companion.styles)
    assert late.latent.companion is not None
    assert torch.equal(
        late.latent.companion.styles, own_companion(generator, late.latent, late.early)
    )


def test_a_constant_map_has_nothing_to_explain(generator: Generator) -> None:
    point = generator.sample(3, space="FW5")
    assert point.features is not None
    flat = point.replace(
        features=torch.full_like(point.features, 0.3),
        rgb=None if point.rgb is None else torch.zeros_like(point.rgb),
        companion=None,
    )
    assert with_companion(generator, flat).companion.styles.isfinite().all()
