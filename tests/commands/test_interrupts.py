"""Ctrl-C, SIGTERM and SIGHUP keep the best point so far, wherever they come, and end there; a
second ends at once.
"""

from __future__ import annotations

import importlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import small_generator
from shell import QUICK, Shell, one_line
from torch import Tensor

import invert.generator
import invert.latents.statistics
import invert.projection.initialization
from directions.direction import Direction
from directions.direction_files import save_direction
from edits.attributes.files import load_attribute_model
from edits.attributes.training import AttributeSettings, AttributeStep, train_attribute_model
from invert.encoders.encoder_files import load_encoder
from invert.generator import Generator
from invert.interrupts import SIGNALS, check, ending_commands, immediate, postponed, taken
from invert.latents.latent import Latent
from invert.metrics.perceptual import PerceptualDistance
from invert.projection.optimization import Step
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings

PLAIN = ProjectionSettings(
    steps=8, init_steps=6, warmup=0, perceptual="none", mse_weight=1.0, noise_weight=1e3
)
NAMES = [number.name for number in SIGNALS]


def send(name: str = "SIGINT") -> None:
    signal.raise_signal(getattr(signal, name))


@pytest.fixture
def generator() -> Generator:
    return small_generator()


@pytest.fixture(autouse=True)
def handlers_stay_as_they_were(signals_are_heard: None) -> Iterator[None]:
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert not taken()


# -- The block in which an interrupt waits.


def test_a_postponed_interrupt_is_raised_where_it_is_asked_for_or_at_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), postponed():  # noqa: PT012
        send()
        done.append("work")
        with postponed():
            done.append("more")
        check()
        done.append("never")
    with pytest.raises(KeyboardInterrupt), postponed():  # noqa: PT012
        send()
        done.append("all")
    assert done == ["work", "more", "all"]


def test_one_that_is_answered_for_is_not_raised() -> None:
    with postponed():
        assert not taken()
        send()
        assert taken()
        assert not taken()


def test_work_that_is_not_worth_keeping_is_interrupted_where_it_is() -> None:
    with postponed():
        with pytest.raises(KeyboardInterrupt), immediate():  # noqa: PT012
            send()
            pytest.fail("was not interrupted")
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            send()
            with immediate():
                pytest.fail("one that waited was forgotten")


@pytest.mark.parametrize("name", NAMES)
def test_a_second_one_ends_at_once_whatever_catches_the_first(name: str) -> None:
    with pytest.raises(SystemExit) as stop, ending_commands(), postponed():  # noqa: PT012
        send("SIGINT")
        try:
            send(name)
        except KeyboardInterrupt:
            pytest.fail("kept its work a second time")
    assert stop.value.code == 130


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_commands(), postponed():
            send("SIGHUP")
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_are_left_alone() -> None:
    found: list[str] = []

    def work() -> None:
        with ending_commands(), postponed(), immediate():
            check()
            found.append("through")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["through"]


# -- Projections.


def sending(stage: str, step: int, name: str = "SIGINT") -> Callable[[Step], None]:
    def callback(entry: Step) -> None:
        if (entry.stage, entry.step) == (stage, step):
            send(name)

    return callback


@pytest.mark.parametrize("space", ["FNW5", "FNSW5", "FW3"])
@pytest.mark.parametrize("stage", ["init", "project"])
def test_an_interrupt_in_either_stage_ends_there_with_the_best_point(
    stage: str, space: str, generator: Generator
) -> None:
    image = generator.render(generator.sample(3))
    result = project(generator, image, space, settings=PLAIN, callback=sending(stage, 4))
    facts = result.latent.metadata["projection"]
    assert (result.stop_reason, facts["stop_reason"], facts["stage"]) == (
        "interrupted",
        "interrupted",
        stage,
    )
    assert facts["start"] == "two-stage"
    assert [step.step for step in result.history] == [0, 1, 2, 3, 4]
    assert {step.stage for step in result.history} == {stage}
    assert str(result.latent.space) == space
    assert torch.equal(result.image, generator.render(result.latent))
    first = result.history[0].mse
    assert (result.image - image).square().mean().item() < first


def test_the_point_of_an_interrupted_start_is_that_of_its_best_step(generator: Generator) -> None:
    image = generator.render(generator.sample(3))
    cut = project(generator, image, "FNW5", settings=PLAIN, callback=sending("init", 4))
    best = min(cut.history, key=lambda step: step.mse)
    assert (cut.image - image).square().mean().item() == pytest.approx(best.mse, rel=1e-4)


class Overflowing(torch.nn.Module):
    """The picture as it is, which a perceptual distance may be of; after some calls no number any
    more.
    """

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def forward(self, x: Tensor) -> Tensor:
        self.left -= 1
        return x if self.left >= 0 else x * float("nan")


def test_a_start_that_diverges_is_told_of_and_is_the_result(generator: Generator) -> None:
    # the target, and three steps
    distance = PerceptualDistance("overflowing", [Overflowing(1 + 3)], [torch.ones(3)])
    image = generator.render(generator.sample(3))
    result = project(generator, image, "FNW5", settings=PLAIN, perceptual=distance)
    assert result.stop_reason == result.latent.metadata["projection"]["stop_reason"] == "diverged"
    assert [(step.stage, step.step) for step in result.history] == [("init", k) for k in range(3)]
    assert str(result.latent.space) == "FNW5"
    assert torch.equal(result.image, generator.render(result.latent))


def test_an_interrupt_while_generated_points_are_measured_keeps_the_start(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(network: Any, layer: int, *_: Any) -> dict[str, Tensor]:  # past the user's cache
        send()
        return invert.latents.statistics.map_distributions(network, layer)

    monkeypatch.setattr(invert.generator, "cached_map_distributions", measured)
    image = generator.render(generator.sample(3))
    settings = PLAIN.replace(dist_weight=0.1)
    result = project(generator, image, "FNW5", settings=settings)
    assert (result.stop_reason, result.best_step, result.history) == ("interrupted", 0, ())
    mean = generator.render(generator.latent(generator.w_avg[None]))
    assert (result.image - image).square().mean() < (mean - image).square().mean()


def test_an_interrupt_before_there_is_a_point_is_raised(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = invert.projection.initialization.mean_init

    def interrupted(*arguments: Any) -> Latent:
        send()
        return real(*arguments)

    monkeypatch.setattr(invert.projection.initialization, "mean_init", interrupted)
    with pytest.raises(KeyboardInterrupt):
        project(generator, generator.render(generator.sample(3)), "FNW5", settings=PLAIN)


FILES = {"face.pt", "face.png", "face.compare.png", "face.json"}


def interrupting(monkeypatch: pytest.MonkeyPatch, where: str, name: str) -> None:
    """Send a signal when the function at `where` is called, which then does its work."""
    module, function = where.rsplit(".", 1)
    real = getattr(importlib.import_module(module), function)
    sent = []

    def called(*arguments: Any, **options: Any) -> Any:
        if not sent:
            sent.append(name)
            send(name)
        return real(*arguments, **options)

    monkeypatch.setattr(sys.modules[module], function, called)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("invert.projection.companion_fit.early_maps", "SIGHUP"),
        ("invert.projection.project_file.projection_metrics", "SIGINT"),
        ("invert.projection.project_file.projection_files", "SIGTERM"),
    ],
)
def test_a_finished_point_is_written_whatever_comes(
    where: str,
    name: str,
    run: Shell,
    network: Path,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupting(monkeypatch, where, name)
    result = run("project", photo, "--network", network, *QUICK)
    assert result.code == 130
    assert one_line(result) == "error: interrupted"
    assert "--init face.pt" in result.err
    assert result.out.startswith("face.pt")
    assert {path.name for path in tmp_path.glob("*face*")} == FILES
    assert run("render", "face.pt", "--network", network, "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("face.png").read_bytes()


def test_a_finished_point_is_written_without_a_comparison_that_takes_minutes(
    run: Shell, network: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no cache"))
    interrupting(monkeypatch, "invert.latents.statistics.map_samples", "SIGINT")
    result = run("project", photo, "--network", network, *QUICK, "--dist-weight", "0")
    assert (result.code, one_line(result)) == (130, "error: interrupted")
    assert {path.name for path in tmp_path.glob("*face*")} == FILES
    metrics = json.loads(Path("face.json").read_text())["metrics"]
    assert "mse" in metrics
    assert "wasserstein" not in metrics


@pytest.mark.parametrize("name", NAMES)
def test_the_command_ends_in_its_first_stage(
    name: str,
    run: Shell,
    network: Path,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupting(monkeypatch, "invert.projection.step_inputs.warmup_cooldown", name)
    result = run(
        "project",
        photo,
        photo,
        "--network",
        network,
        *QUICK,
        "--steps",
        "100000",
        "--init-steps",
        "100000",
    )
    assert (result.code, one_line(result)) == (130, "error: interrupted")
    assert {path.name for path in tmp_path.glob("*face*")} == FILES
    report = json.loads(Path("face.json").read_text())
    assert (report["stop_reason"], report["start"]) == ("interrupted", "two-stage")


def test_a_second_interrupt_does_not_wait_for_the_files(
    run: Shell, network: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupting(monkeypatch, "invert.projection.step_inputs.warmup_cooldown", "SIGINT")
    interrupting(monkeypatch, "invert.projection.project_file.reconstruction_metrics", "SIGTERM")
    result = run("project", photo, "--network", network, *QUICK)
    assert (result.code, one_line(result)) == (130, "error: interrupted")
    assert not list(tmp_path.glob("*face*"))


def test_a_terminal_that_closes_takes_no_point_with_it(
    network: Path, photo: Path, tmp_path: Path
) -> None:
    code = (
        "import os, signal, cli, invert.projection.step_inputs as o\n"
        "real = o.warmup_cooldown\n"
        "o.warmup_cooldown = lambda *a: (os.kill(os.getpid(), signal.SIGHUP), real(*a))[1]\n"
        "cli.main()"
    )
    command = [sys.executable, "-c", code, "project", str(photo), "--network", str(network), *QUICK]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 130, done.stderr
    assert json.loads((tmp_path / "face.json").read_text())["stop_reason"] == "interrupted"


# -- Training.

SHORT = AttributeSettings(samples=48, held_out=16, steps=6, rank=12)


def smile(generator: Generator) -> Direction:
    vectors = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(3))
    return Direction("smile", vectors / vectors.norm(), 0.5)


@pytest.mark.parametrize(
    ("stage", "stop_reason"), [("channels", None), ("exponential", "interrupted")]
)
def test_an_attribute_model_is_kept_once_there_is_one(
    stage: str, stop_reason: str | None, generator: Generator
) -> None:
    seen: list[AttributeStep] = []

    def callback(step: AttributeStep) -> None:
        seen.append(step)
        if (step.stage, step.step) == (stage, 2):
            send()

    if stop_reason is None:
        with pytest.raises(KeyboardInterrupt):
            train_attribute_model(generator, smile(generator), 5, settings=SHORT, callback=callback)
    else:
        model = train_attribute_model(
            generator, smile(generator), 5, settings=SHORT, callback=callback
        )
        assert model.training["stop_reason"] == stop_reason
    assert (seen[-1].stage, seen[-1].step) == (stage, 2)


def test_training_commands_write_what_they_have_and_end(
    run: Shell, network: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_direction(smile(generator), "smile.safetensors")
    train = ("train", "attribute", "--direction", "smile.safetensors", "--network", network)
    interrupting(monkeypatch, "edits.attributes.training.by_part", "SIGTERM")
    result = run(*train, "--samples", "16", "--steps", "100000", "-o", "m.safetensors")
    assert (result.code, one_line(result)) == (130, "error: interrupted")
    assert (
        load_attribute_model(Path("m.safetensors"), generator).training["stop_reason"]
        == "interrupted"
    )

    encoder = (
        "train",
        "encoder",
        "--network",
        network,
        "--perceptual",
        "none",
        "--batch",
        "4",
    )
    interrupting(monkeypatch, "invert.encoders.training.EncoderStep", "SIGHUP")
    result = run(*encoder, "-o", "e.safetensors")
    assert (result.code, one_line(result)) == (130, "error: interrupted")
    assert re.match(r"e\.safetensors  [1-9] steps", result.out)  # steps are told about every second
    load_encoder(Path("e.safetensors"), generator)


# -- Everything else leaves nothing half done.


@pytest.mark.parametrize(
    ("where", "command"),
    [
        (
            "invert.images.images.to_pil",
            ("edit", "a.pt", "--direction", "smile.safetensors", "--strip=-1:1:3"),
        ),
        (
            "edits.style_mixing.interpolate",
            ("interpolate", "a.pt", "b.pt", "-o", "way.gif", "--frames", "3"),
        ),
        (
            "invert.projection.companion_fit.early_maps",
            ("edit", "a.pt", "--direction", "smile.safetensors"),
        ),
    ],
)
def test_other_commands_end_and_leave_no_files(
    where: str, command: tuple[str, ...], run: Shell, network: Path, generator: Generator,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    save_direction(smile(generator), "smile.safetensors")
    for seed, file in enumerate(("a.pt", "b.pt")):
        generator.sample(seed, space="FNW5").replace(companion=None).save(Path(file))
    before = sorted(tmp_path.iterdir())
    interrupting(monkeypatch, where, "SIGTERM")
    result = run(*command, "--network", network)
    assert (result.code, one_line(result), result.out) == (130, "error: interrupted", "")
    assert sorted(tmp_path.iterdir()) == before
