"""A training run in a folder beside its result: go on where it stopped, keep its history, write the
encoder.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from invert import interrupts
from invert.encoders.encoder_files import load_encoder, save_encoder
from invert.encoders.training import EncoderSettings, EncoderStep, EncoderTraining
from invert.errors import UsageError
from invert.files.atomic_files import write_atomically
from invert.files.leftovers import recover
from invert.files.regular_files import read_regular
from invert.generator import Generator
from invert.metrics.perceptual import PerceptualDistance

SAVE_SECONDS = 120.0
TEST_EVERY = 200  # steps
MAX_HISTORY_BYTES = 64 << 20


def train_encoder(
    generator: Generator,
    layer: int,
    output: Path,
    *,
    settings: EncoderSettings,
    steps: int | None = None,
    hours: float | None = None,
    resume: bool = False,
    start: Path | None = None,
    perceptual: PerceptualDistance | None = None,
    callback: Callable[[EncoderStep], object] = lambda step: None,
    record: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train until `steps` or `hours` in all are reached, write the encoder to `output`, return its
    facts.

    The folder OUTPUT.run holds the images, `run.pt` (where `resume` goes on) and `history.jsonl`.
    An interrupted run is saved as it is and the encoder written. `start` is the file of an encoder
    whose weights are the first; the encoder's file holds a `record` of what it was made from
    (:mod:`invert.files.provenance`). Raises :class:`UsageError` for a run that is there already and
    not to be resumed, not there and to be resumed, or under way in another process, and for a start
    of another layer or backbone.
    """
    with alone_in(output.with_suffix(".run")) as folder:
        return train_in(
            folder,
            generator,
            layer,
            output,
            settings=settings,
            steps=steps,
            hours=hours,
            resume=resume,
            start=start,
            perceptual=perceptual,
            callback=callback,
            record=record,
        )


@contextmanager
def alone_in(folder: Path) -> Iterator[Path]:
    """The folder, made where it was not, while no other process has it; also when that process was
    killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recover(folder)
    recover(folder / "images")
    try:
        with FileLock(folder / "lock", timeout=0):
            yield folder
    except Timeout as error:
        raise UsageError(
            f"{folder}: another process trains here; wait for it, or name another output"
        ) from error


def check_run(folder: Path, *, resume: bool) -> None:
    """Raise :class:`UsageError` unless a run is there exactly where one is to go on."""
    if (folder / "run.pt").exists() != resume:
        what = "no run to resume; train first" if resume else "a run is there; use --resume"
        raise UsageError(f"{folder}: {what}, or name another output")


@interrupts.postponed()
def train_in(
    folder: Path,
    generator: Generator,
    layer: int,
    output: Path,
    *,
    settings: EncoderSettings,
    steps: int | None,
    hours: float | None,
    resume: bool,
    start: Path | None,
    perceptual: PerceptualDistance | None,
    callback: Callable[[EncoderStep], object],
    record: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What :func:`train_encoder` does, in a folder that is ours."""
    state, history = folder / "run.pt", folder / "history.jsonl"
    check_run(folder, resume=resume)
    if resume and start is not None:
        raise UsageError("a run that goes on has its weights; give a start or resume")
    first = None if start is None else load_encoder(start, generator)
    with interrupts.immediate():  # nothing to keep yet
        training = EncoderTraining(generator, layer, settings, perceptual, folder / "images")
        if first is not None and start is not None:
            training.begin_from(first, start.name)
        if resume:
            training.resume(state)
    if resume:
        forget_later_steps(history, training.step)
    saved = time.perf_counter()

    def each(step: EncoderStep) -> None:
        nonlocal saved
        if step.held_out:
            with history.open("a") as file:
                file.write(json.dumps(asdict(step), sort_keys=True) + "\n")
        if time.perf_counter() - saved > SAVE_SECONDS:
            training.save(state)
            saved = time.perf_counter()
        callback(step)

    stop_reason = "done"
    try:
        training.run(
            steps=steps,
            seconds=None if hours is None else hours * 3600,
            callback=each,
            test_every=TEST_EVERY,
        )
    except KeyboardInterrupt:
        stop_reason = "interrupted"
    training.save(state)
    facts = {
        "generator": generator.name,
        "layer": layer,
        "settings": asdict(settings),
        "start": training.start,
        "steps": training.step,
        "hours": training.seconds / 3600,
        "samples": training.step * settings.fresh,
        "held_out": training.test(),
        "stop_reason": stop_reason,
        "torch": torch.__version__,
    }
    save_encoder(training.result, output, facts, record)
    if interrupts.taken():  # while it was tested and written
        facts["stop_reason"] = "interrupted"
    return facts


def forget_later_steps(history: Path, step: int) -> None:
    """Drop the lines after the step that the run was saved at; they will be made again."""
    if not history.exists():
        return
    try:
        lines = read_regular(history, MAX_HISTORY_BYTES).decode(errors="replace").splitlines()
    except OSError as error:
        raise UsageError(f"{history}: cannot be read ({error.strerror}); move it away") from error
    kept = "".join(line + "\n" for line in lines if step_of(line) <= step)
    write_atomically(history, lambda file: file.write(kept.encode()))


def step_of(line: str) -> float:
    """The step that a line of the history is about; infinity for a torn or damaged line."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return math.inf
