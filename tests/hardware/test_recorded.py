"""Steps under graphs give what they give without, photograph after photograph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from networks import small_checkpoint, small_mobile_tensors
from simulated_device import DEVICE, simulated_device
from simulated_graphs import GRAPHS
from torch import Tensor

import invert
import invert.latents.statistics
from invert.checkpoints import Checkpoint
from invert.generator import Generator
from invert.hardware.graphs import WARMUP, GraphWarning
from invert.loading import generator_from_checkpoint
from invert.metrics.perceptual import PerceptualDistance
from invert.projection.companion_fit import likely_styles
from invert.projection.projector import Projection, networks_for
from invert.projection.recorded import Recordings
from invert.projection.settings import ProjectionSettings, preset

STEPS = 6


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    with simulated_device() as device, pytest.MonkeyPatch.context() as patch:
        patch.setattr(invert.latents.statistics, "TARGET_SAMPLES", 64)
        patch.setattr(invert.latents.statistics, "LEAST_SAMPLES", 32)
        yield generator_from_checkpoint(small_checkpoint(32), name="small", device=device)


@pytest.fixture(autouse=True)
def counters() -> None:
    GRAPHS.recorded = GRAPHS.replays = 0


def distance(seed: int) -> PerceptualDistance:
    torch.manual_seed(seed)
    return PerceptualDistance("tiny", [torch.nn.Conv2d(3, 4, 3)], [torch.ones(4)]).to("sim")


WHOLE, CROP = distance(0), distance(1)


def quick(space: str, **changes: Any) -> ProjectionSettings:
    settings = preset("fast", space).replace(steps=STEPS, init_steps=4, companion_steps=1)
    return settings.replace(crop_size=32, crop_perceptual="tiny", **changes)


def projected(generator: Generator, seed: int, space: str, **options: Any) -> Projection:
    settings = options.pop("settings", None) or quick(space)
    target = generator.render(generator.sample(seed)).clamp(-1, 1)
    return invert.project(
        generator,
        target,
        space,
        settings=settings,
        perceptual=WHOLE,
        crop_perceptual=CROP,
        seed=seed,
        **options,
    )


def tensors(projection: Projection) -> list[Tensor]:
    rows = [(s.loss, s.perceptual, s.mse, s.lr) for s in projection.history]
    return [*(t.cpu() for t in projection.latent.tensors()), torch.tensor(rows)]


def same(a: Projection, b: Projection) -> bool:
    pairs = zip(tensors(a), tensors(b), strict=True)
    assert len(a.history) == STEPS + 1
    return a.best_step == b.best_step and all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("space", ["FNW5", "FSW3"])
def test_the_next_photograph_by_the_same_graphs_is_that_without(
    space: str, generator: Generator
) -> None:
    recordings = Recordings()
    projected(generator, 1, space, recordings=recordings, init="mean")
    recorded = GRAPHS.recorded
    by_graphs = projected(generator, 2, space, recordings=recordings, init="mean")
    assert GRAPHS.recorded >= recorded > 0
    assert GRAPHS.replays >= STEPS

    plain = quick(space, graphs=False)
    assert same(by_graphs, projected(generator, 2, space, settings=plain, init="mean"))


@pytest.mark.parametrize("kind", ["stylegan2", "mobile"])
def test_smaller_pictures_are_recorded_with_and_without_what_they_lack(
    kind: str, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kinds of steps: a smaller picture or the whole one, measured or not, with a crop or without.
    monkeypatch.setattr("invert.metrics.perceptual.PERCEPTUAL_SIDE", 16)
    monkeypatch.setattr("invert.metrics.perceptual.MINIMUM_SIDE", 16)
    network = generator
    if kind == "mobile":
        checkpoint = Checkpoint("mobile-stylegan", "invert", {}, small_mobile_tensors(), {})
        network = generator_from_checkpoint(checkpoint, name="small", device=generator.device)
    draft = preset("draft", "FNW5").replace(
        steps=18, preview=0.67, refresh=3, companion_steps=1, crop_size=32, crop_perceptual="tiny"
    )
    recordings = Recordings()
    options: dict[str, Any] = {"settings": draft, "init": "mean"}
    projected(network, 1, "FNW5", recordings=recordings, **options)
    by_graphs = projected(network, 2, "FNW5", recordings=recordings, **options)
    assert GRAPHS.recorded >= 6

    options["settings"] = draft.replace(graphs=False)
    plain = projected(network, 2, "FNW5", **options)
    assert all(torch.equal(a, b) for a, b in zip(tensors(by_graphs), tensors(plain), strict=True))


def test_steps_wait_for_nothing(generator: Generator) -> None:
    reads = []
    for steps in (3, 6):
        settings = quick("NW+", steps=steps, report_every=100)
        DEVICE.host_reads.clear()
        projected(generator, 1, "NW+", settings=settings, init="mean")
        reads.append(sum(DEVICE.host_reads.values()))
    assert reads[0] == reads[1]


class Reading(PerceptualDistance):
    """A distance that reads a number of every image."""

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        for maps in super().activations(images):
            yield maps * float(images.detach().mean() * 0 + 1)


def test_a_step_that_waits_runs_launch_by_launch_and_says_so(generator: Generator) -> None:
    reading = Reading("reading", [torch.nn.Conv2d(3, 4, 3)], [torch.ones(4)]).to("sim")
    target = generator.render(generator.sample(1))
    options: dict[str, Any] = {"perceptual": reading, "init": "mean", "space": "W"}
    settings = quick("W", crop_weight=0)
    with pytest.warns(GraphWarning, match="launch by launch"):
        found = invert.project(generator, target, settings=settings, **options)
    plain = settings.replace(graphs=False)
    assert same(found, invert.project(generator, target, settings=plain, **options))
    assert not GRAPHS.recorded


def test_companions_by_a_graph_are_those_without(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = generator.sample(3, space="FW5")
    targets = [t for t in (point.features, point.rgb) if t is not None]
    by_graph = likely_styles(generator, point.space, targets, 6)
    assert GRAPHS.replays == 6 - WARMUP
    monkeypatch.delattr(type(DEVICE), "CUDAGraph")
    without = likely_styles(generator, point.space, targets, 6)
    assert all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(by_graph, without, strict=True))


def test_few_kinds_are_kept_and_all_can_be_given_back(generator: Generator) -> None:
    recordings = Recordings()
    for steps in (0, 1, 2, 3):
        settings = quick("W", steps=steps, perceptual="none")
        target = generator.render(generator.sample(1))
        invert.project(
            generator, target, "W", settings=settings, recordings=recordings, init="mean"
        )
        assert len(recordings.descents) == min(steps, Recordings.KEPT)
    recordings.clear()
    assert not recordings.descents


def test_the_next_photograph_has_its_own_class() -> None:
    checkpoint = small_checkpoint(32, c_dim=3)
    settings = quick("Z", perceptual="none")
    recordings = Recordings()
    with simulated_device() as device:
        conditional = generator_from_checkpoint(checkpoint, name="classes", device=device)
        starts = [conditional.sample(5, label=label, space="Z") for label in (0, 2)]
        targets = [conditional.render(conditional.sample(1, label=label)) for label in (0, 2)]

        def found(k: int, recordings: Recordings | None) -> Projection:
            return invert.project(
                conditional,
                targets[k].clamp(-1, 1),
                "Z",
                settings=settings,
                init=starts[k],
                recordings=recordings,
            )

        first, second = found(0, recordings), found(1, recordings)
        alone = found(1, None)
        assert [step.mse for step in second.history] == [step.mse for step in alone.history]
        labels = [p.latent.label for p in (first, second)]
        assert [label.argmax().item() for label in labels if label is not None] == [0, 2]


def test_the_next_photograph_runs_the_same_networks_in_half_precision(
    generator: Generator,
) -> None:
    recordings = Recordings()
    settings = quick("W", half=True)
    first = networks_for(generator, settings, WHOLE, CROP, recordings)
    second = networks_for(generator, settings, WHOLE, CROP, recordings)
    assert second.generator is first.generator is not generator
    assert (second.whole, second.crop) == (first.whole, first.crop)
    assert first.whole is not WHOLE
