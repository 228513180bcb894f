"""A training run in a folder beside its result: go on where it stopped, keep its history, write the
encoder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from invert import interrupts
from invert.encoders.encoder_files import load_encoder, save_encoder
from invert.encoders.settings import EncoderSettings
from invert.encoders.training import EncoderStep, EncoderTraining
from invert.encoders.training_state import resume_run, save_run
from invert.errors import UsageError
from invert.files.run_folder import (
    HISTORY,
    STATE,
    add_line,
    alone_in,
    check_run,
    forget_later_steps,
)
from invert.generator import Generator
from invert.hardware.modes import default_modes
from invert.metrics.perceptual import PerceptualDistance, load_perceptual

SAVE_SECONDS = 60.0
TEST_EVERY, REFINEMENT_TEST_EVERY = 200, 50  # steps; those of a refinement take longer


def train_encoder(
    generator: Generator,
    layer: int,
    output: str | Path,
    *,
    settings: EncoderSettings,
    steps: int | None = None,
    minutes: float | None = None,
    resume: bool = False,
    start: str | Path | None = None,
    perceptual: Sequence[PerceptualDistance] | None = None,
    callback: Callable[[EncoderStep], object] = lambda step: None,
    record: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train until `steps` or `minutes` in all are reached, write the encoder to `output`, return
    its facts.

    Every minute the averaged weights are written to `output`, and the folder OUTPUT.run gets
    `run.pt`, where `resume` goes on, and `history.jsonl`. A run that was killed goes on from there
    and ends as if it had not been, if the rate falls over `steps`: the same steps give the same
    encoder, bit for bit on a CPU. An interrupted run is saved as it is and the encoder written.

    `start` is the file of an encoder whose weights are the first. `perceptual` are the distances
    that the settings name, if they are loaded already. The encoder's file holds a `record` of what
    it was made from (:mod:`invert.files.provenance`).

    Raises :class:`UsageError` for a run that is there already and not to be resumed, not there and
    to be resumed, or under way in another process, and for a start of another layer or backbone.
    """
    output, start = Path(output), None if start is None else Path(start)
    run_folder = output.with_suffix(".run")
    with default_modes(), alone_in(run_folder) as folder, interrupts.postponed():
        check_run(folder, resume=resume)
        if resume and start is not None:
            raise UsageError("a run that goes on has its weights; give a start or resume")
        first = None if start is None else load_encoder(start, generator)

        with interrupts.immediate():  # nothing to keep yet
            distances = load_distances(generator, settings) if perceptual is None else perceptual
            training = EncoderTraining(generator, layer, settings, distances)
            if first is not None and start is not None:
                training.begin_from(first, start.name)
            if resume:
                resume_run(training, folder / STATE)
        forget_later_steps(folder / HISTORY, training.step if resume else -1)

        return trained(training, folder, output, steps, minutes, callback, record)


def trained(
    training: EncoderTraining,
    folder: Path,
    output: Path,
    steps: int | None,
    minutes: float | None,
    callback: Callable[[EncoderStep], object],
    record: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Train, keep what :func:`train_encoder` keeps in `folder` and `output`, return the facts."""
    state, history = folder / STATE, folder / HISTORY
    saved, earlier = time.perf_counter(), training.seconds
    tested, measured = -1, dict[str, float]()  # the step, and what was found
    if training.step == 0 and training.start is not None:
        tested, measured = 0, training.test()
        add_line(history, {"step": 0, "seconds": 0.0, "held_out": measured})

    def each(step: EncoderStep) -> None:
        nonlocal saved, tested, measured
        if step.held_out:
            tested, measured = step.step, step.held_out
            add_line(history, asdict(step))
        if time.perf_counter() - saved > SAVE_SECONDS:
            save_run(training, state)
            facts = facts_of(training, "under way", measured)
            save_encoder(training.result, output, facts, record)
            saved = time.perf_counter()
        callback(step)

    # The training itself, until it is over or interrupted.
    stop_reason = "done"
    try:
        training.run(
            steps=steps,
            seconds=None if minutes is None else minutes * 60,
            callback=each,
            test_every=REFINEMENT_TEST_EVERY if training.settings.passes else TEST_EVERY,
        )
    except KeyboardInterrupt:
        stop_reason = "interrupted"
    save_run(training, state)
    if stop_reason == "done" and tested != training.step:
        measured = training.test()
    facts = facts_of(training, stop_reason, measured)
    save_encoder(training.result, output, facts, record)

    if interrupts.taken():  # while it was tested and written
        facts["stop_reason"] = "interrupted"
    seconds = training.seconds - earlier
    return {**facts, "images_per_second": training.seen / seconds if seconds else 0.0}


def load_distances(generator: Generator, settings: EncoderSettings) -> list[PerceptualDistance]:
    """The perceptual distances that the settings name, on the generator's device."""
    return [
        load_perceptual(name, device=generator.device, dtype=generator.dtype)
        for name in settings.perceptual
    ]


def facts_of(
    training: EncoderTraining, stop_reason: str, held_out: Mapping[str, float]
) -> dict[str, Any]:
    """What the encoder's file says about how it was made and measured."""
    return {
        "generator": training.generator.name,
        "layer": training.layer,
        "settings": asdict(training.settings),
        "start": training.start,
        "steps": training.step,
        "hours": training.seconds / 3600,
        "samples": training.step * training.settings.batch,
        "held_out": dict(held_out),
        "stop_reason": stop_reason,
        "device": training.device.type,
        "torch": torch.__version__,
    }
