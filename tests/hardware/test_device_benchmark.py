"""The benchmark of devices: what fails is a line, and every variant computes the same image."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from networks import small_checkpoint, small_generator, small_mobile
from simulated_device import simulated_device

from invert.loading import generator_from_checkpoint
from invert.networks.network import SynthesisNetwork
from invert.projection.recorded import RecordedDescent
from invert.projection.settings import preset

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import device as device_benchmark
from stopwatch import Figure, Stopwatch, shown
from synthesis_parts import Variant, at_precision, forward, forward_backward, point, variants

CPU = torch.device("cpu")


def test_a_part_that_fails_or_comes_too_late_is_a_line_and_the_others_go_on() -> None:
    watch = Stopwatch(CPU, seconds=0.0, limit=60)

    def broken() -> None:
        raise ValueError("wrong\nin two lines")

    watch.part("broken", broken, needs=1)
    watch.part("too late", broken, needs=1000)
    watch.part("good", lambda: watch.time("good", "nothing", int), needs=1)
    assert watch.left_out[0] == "broken: ValueError: wrong"
    assert watch.left_out[1].startswith("too late: it needs 1000 s, ")
    [figure] = json.loads(json.dumps(watch.as_json()))["figures"]
    assert (figure["part"], figure["unit"]) == ("good", "ms")


def test_a_line_of_the_table_names_its_unit() -> None:
    assert shown(Figure("step", "of what", 12.3456, "ms", "2 GiB")).split() == [
        *("step", "of", "what", "12.35", "ms", "2", "GiB")
    ]


@pytest.mark.parametrize("make", [small_generator, small_mobile])
def test_channels_first_gives_the_same_image(make: type) -> None:
    network: SynthesisNetwork = make().network
    x, styles, noise = point(network, 2, grad=False)
    image = network.synthesize(x, None, styles, noise)
    with at_precision(network, Variant("float32", channels_last=False)) as changed:
        difference = (changed.synthesize(x, None, styles, noise) - image).abs().max()
        assert difference < 1e-3 * image.std()  # kernels round otherwise, and weights are random
    assert torch.equal(network.synthesize(x, None, styles, noise), image)


@pytest.mark.parametrize("variant", [*variants(gpu=True), *variants(gpu=False)], ids=str)
def test_every_variant_runs_forward_and_backward(variant: Variant) -> None:
    with at_precision(small_generator(16).network, variant) as network:
        forward(network, 2)()
        forward_backward(network, 1)()


def test_a_step_is_timed_launch_by_launch_and_recorded() -> None:
    with simulated_device() as sim:
        generator = generator_from_checkpoint(small_checkpoint(32), name="small", device=sim)
        settings = preset("fast", "FNW5").replace(perceptual="none", dist_weight=0)
        picture = generator.render(generator.sample(0))
        watch = Stopwatch(sim, seconds=0.0, limit=60)
        descent = device_benchmark.new_descent(generator, picture, settings, "mean")
        for runner in (descent, RecordedDescent(descent)):
            device_benchmark.time_steps(watch, "a step", descent, runner)
    assert [figure.unit for figure in watch.figures] == ["ms"] * 4


def test_the_benchmark_says_how_to_run_it() -> None:
    result = CliRunner().invoke(device_benchmark.main, ["--help"])
    assert result.exit_code == 0
    assert "--official" in result.output
