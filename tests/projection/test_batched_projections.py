"""N images give N projections: each what it is alone, whatever the batch, its order and the others.

`optimize` computes a batch at once; on a CPU `project` gives it one image after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from networks import small_generator
from torch import Tensor

from invert.errors import LatentError, UsageError
from invert.latents.latent import Latent
from invert.metrics.perceptual import PerceptualDistance
from invert.projection.objective import Networks, Objective
from invert.projection.optimization import Projection, Step, optimize
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings

GENERATOR = small_generator()
SETTINGS = ProjectionSettings(
    steps=4,
    init_steps=2,
    warmup=2,
    companion_steps=2,
    mse_weight=1.0,
    crop_weight=0.1,
    crop_size=32,
    dist_weight=0.1,
    w_noise=0.05,
)
PLAIN = SETTINGS.replace(perceptual="none", crop_weight=0.0, dist_weight=0.0, w_noise=0.0)


def colours() -> PerceptualDistance:
    """A perceptual distance that needs no weights."""
    return PerceptualDistance("colours", [torch.nn.Identity()], [torch.ones(3)])


def photographs(count: int) -> list[Tensor]:
    points = GENERATOR.sample(range(5, 5 + count), psi=0.7)
    return [GENERATOR.render(points[k], "random", seed=k) for k in range(count)]


def projected(
    images: Sequence[Tensor] | Tensor, space: str, settings: ProjectionSettings = SETTINGS
) -> tuple[Projection, ...]:
    both = {"perceptual": colours(), "crop_perceptual": colours()}
    found = project(GENERATOR, images, space, settings=settings, seed=3, **both)
    return found if isinstance(found, tuple) else (found,)


def measures(projection: Projection) -> list[tuple[float, ...]]:
    return [(s.step, s.loss, s.mse, s.lr) for s in projection.history]


def same(a: Projection, b: Projection) -> bool:
    """Every bit of the point, its picture, its history and what is remembered of it."""
    tensors = zip(a.latent.tensors(), b.latent.tensors(), strict=True)
    return (
        all(torch.equal(x, y) for x, y in tensors)
        and torch.equal(a.image, b.image)
        and [(s.step, s.loss, s.lr) for s in a.history]
        == [(s.step, s.loss, s.lr) for s in b.history]
        and a.latent.metadata == b.latent.metadata
    )


@pytest.mark.parametrize("space", ["FNW5", "W+", "FNSW5"])
def test_five_at_once_are_five_alone_bit_for_bit_in_any_order(space: str) -> None:
    images = photographs(5)
    alone = [projected(image, space)[0] for image in images]
    order = [3, 0, 4, 2, 1]
    batch = projected([images[k] for k in order], space)
    assert all(same(batch[row], alone[k]) for row, k in enumerate(order))


def test_a_tensor_of_several_images_is_a_batch_and_one_of_one_is_not() -> None:
    images = photographs(2)
    both = project(GENERATOR, torch.cat(images), "W", settings=PLAIN)
    assert isinstance(both, tuple)
    assert len(both) == 2
    one = project(GENERATOR, images[0], "W", settings=PLAIN)
    assert isinstance(one, Projection)
    assert same(both[0], one)
    assert isinstance(project(GENERATOR, [images[0]], "W", settings=PLAIN), tuple)


def test_images_of_different_sizes_come_back_in_their_order() -> None:
    small, other = photographs(2)
    wide = torch.cat([small, other], 3)
    found = projected([wide, small, wide], "FNW5", PLAIN)
    assert [p.image.shape[3] for p in found] == [128, 64, 128]
    assert same(found[0], found[2])


# -- The loop itself: a batch in one pass.


def in_one_pass(
    images: Sequence[Tensor],
    space: str,
    settings: ProjectionSettings = SETTINGS,
    whole: PerceptualDistance | None = None,
    callback: Callable[[Step], object] | None = None,
) -> list[Projection]:
    networks = Networks(GENERATOR, whole or colours(), colours())
    objective = Objective(GENERATOR, torch.cat(list(images)), networks, seed=3)
    inits = [GENERATOR.sample(1, psi=0.5, space=space)] * len(images)
    return optimize(objective, inits, settings, callback)


@pytest.mark.parametrize("space", ["FNW5", "W", "FNSW5"])
def test_a_batch_in_one_pass_is_its_images_alone_up_to_rounding(space: str) -> None:
    images = photographs(3)
    batch = in_one_pass(images, space)
    for image, one in zip(images, batch, strict=True):
        [alone] = in_one_pass([image], space)
        assert one.best_step == alone.best_step
        for x, y in zip(one.latent.tensors(), alone.latent.tensors(), strict=True):
            assert torch.allclose(x, y, rtol=1e-3, atol=1e-3)
        assert one.history[-1].loss == pytest.approx(alone.history[-1].loss, rel=1e-3)


class OverflowOf(torch.nn.Module):
    """The pictures as they are, but one of the batch without numbers in some calls."""

    def __init__(self, row: int, calls: range) -> None:
        super().__init__()
        self.row, self.calls, self.call = row, calls, 0

    def forward(self, x: Tensor) -> Tensor:
        self.call += 1
        if self.call - 2 not in self.calls:  # the first call embeds the target
            return x
        factor = torch.ones(len(x), 1, 1, 1)
        factor[self.row] = math.nan
        return x * factor


def overflowing(row: int, calls: range) -> PerceptualDistance:
    return PerceptualDistance("overflowing", [OverflowOf(row, calls)], [torch.ones(3)])


def test_an_image_that_diverges_leaves_the_others_alone() -> None:
    images, settings = photographs(3), SETTINGS.replace(steps=10)
    plain = in_one_pass(images, "FNW5", settings)
    found = in_one_pass(images, "FNW5", settings, overflowing(1, range(2, 99)))
    assert [p.stop_reason for p in found] == ["steps", "diverged", "steps"]
    assert same(found[0], plain[0])
    assert same(found[2], plain[2])
    assert found[1].best_step <= 1
    assert [s.step for s in found[1].history] == [0, 1]
    assert all(bool(t.isfinite().all()) for t in found[1].latent.tensors())


def test_an_image_recovers_at_half_the_rate_and_the_others_keep_theirs() -> None:
    images, settings = photographs(2), SETTINGS.replace(steps=8)
    found = in_one_pass(images, "W+", settings, overflowing(0, range(3, 4)))
    assert [p.stop_reason for p in found] == ["steps", "steps"]
    assert [s.step for s in found[0].history] == [0, 1, 2, 4, 5, 6, 7, 8]
    assert len(found[1].history) == 9
    assert found[0].history[-1].lr == pytest.approx(found[1].history[-1].lr / 2)
    assert found[0].best_step > 3


def test_early_points_are_each_images_own() -> None:
    images, settings = photographs(3), PLAIN.replace(steps=8, early_steps=3, lr=0.05, warmup=0)
    batch = in_one_pass(images, "FNW5", settings)
    assert any(p.early is not None for p in batch)
    for image, one in zip(images, batch, strict=True):
        [alone] = in_one_pass([image], "FNW5", settings)
        assert (one.early is None) == (one.best_step <= 3) == (alone.early is None)
        if one.early is not None and alone.early is not None:
            for x, y in zip(one.early.tensors(), alone.early.tensors(), strict=True):
                assert torch.allclose(x, y, rtol=1e-3, atol=1e-3)


# -- Stops.


def test_patience_ends_an_image_that_gets_no_better_and_its_best_point_stays() -> None:
    settings = PLAIN.replace(steps=30, lr=3.0, warmup=0)  # overshoots
    [free] = in_one_pass(photographs(1), "W+", settings)
    [found] = in_one_pass(photographs(1), "W+", settings.replace(patience=3))
    assert found.stop_reason == "patience"
    last = found.history[-1].step
    assert last == found.best_step + 3 < 30
    assert [s.loss for s in found.history] == [s.loss for s in free.history[: last + 1]]


def test_patience_is_each_images_own() -> None:
    images = photographs(3)
    settings = PLAIN.replace(steps=16, lr=0.4, warmup=0, patience=2)
    batch = in_one_pass(images, "W+", settings)
    alone = [in_one_pass([image], "W+", settings)[0] for image in images]
    assert [p.best_step for p in batch] == [p.best_step for p in alone]
    assert [p.stop_reason for p in batch] == [p.stop_reason for p in alone]
    assert len({len(p.history) for p in batch}) > 1


def stop_at(step: int, index: int = 0) -> Callable[[Step], None]:
    def callback(entry: Step) -> None:
        if (entry.step, entry.index) == (step, index):
            raise KeyboardInterrupt

    return callback


def test_an_interrupt_keeps_what_every_image_of_a_batch_has() -> None:
    images = photographs(3)
    found = in_one_pass(images, "FNW5", callback=stop_at(2, index=1))
    assert [p.stop_reason for p in found] == ["interrupted"] * 3
    assert [len(p.history) for p in found] == [3, 3, 3]
    assert all(torch.equal(p.image, GENERATOR.render(p.latent)) for p in found)


def test_images_whose_turn_does_not_come_stay_at_their_init() -> None:
    init = GENERATOR.sample(1, space="FNW5")
    found = project(
        GENERATOR,
        photographs(3),
        "FNW5",
        settings=PLAIN,
        init=init,
        callback=stop_at(2, index=1),
    )
    assert [p.stop_reason for p in found] == ["steps", "interrupted", "interrupted"]
    assert [len(p.history) for p in found] == [5, 3, 0]
    assert torch.equal(found[2].image, GENERATOR.render(init))
    assert found[2].latent.metadata["projection"]["stop_reason"] == "interrupted"


def test_steps_carry_the_number_of_their_image() -> None:
    seen: list[tuple[int, int]] = []
    images = photographs(3)
    found = project(
        GENERATOR,
        images,
        "W",
        settings=PLAIN,
        callback=lambda step: seen.append((step.index, step.step)),
    )
    assert sorted(seen) == [(k, step) for k in range(3) for step in range(5)]
    assert [len(p.history) for p in found] == [5, 5, 5]


# -- Inits.


def test_inits_are_shared_or_one_for_each_image() -> None:
    images, points = photographs(2), GENERATOR.sample([1, 2], space="FNW5")
    unmoved = PLAIN.replace(steps=0)

    def inits(init: Latent | str | Sequence[Latent | str | None]) -> list[Tensor]:
        found = project(GENERATOR, images, "FNW5", settings=unmoved, init=init)
        return [p.image for p in found]

    first, second = (GENERATOR.render(points[k]) for k in (0, 1))
    mean = GENERATOR.render(GENERATOR.latent(GENERATOR.w_avg[None]))
    for given, wanted in (
        (points, [first, second]),
        ([points[1], points[0]], [second, first]),
        (points[0], [first, first]),
        ([points[0], "mean"], [first, mean]),
    ):
        assert all(torch.equal(a, b) for a, b in zip(inits(given), wanted, strict=True))


def test_numbers_of_inits_that_do_not_fit_are_refused() -> None:
    images, points = photographs(2), GENERATOR.sample([1, 2, 3], space="FNW5")
    with pytest.raises(UsageError, match="one init for each of 2 images, got 3"):
        project(GENERATOR, images, settings=PLAIN, init=points)
    with pytest.raises(UsageError, match="one init for each of 1 images, got 3"):
        project(GENERATOR, images[0], settings=PLAIN, init=points)
    with pytest.raises(LatentError, match="an init of one point for one image, got 3"):
        project(GENERATOR, images, settings=PLAIN, init=[points, points])
