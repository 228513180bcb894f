"""A run in a folder beside its result: go on where it stopped, show samples, write the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from invert import interrupts
from invert.checkpoints import Checkpoint
from invert.checkpoints.ours import FORMAT, write_checkpoint
from invert.errors import UsageError
from invert.files.run_folder import (
    HISTORY,
    STATE,
    add_line,
    alone_in,
    check_run,
    forget_later_steps,
)
from invert.gan.crops import Crops, data_digest, open_pictures
from invert.gan.curves import can_plot, plot_history
from invert.gan.distance_to_data import Measure, no_measures
from invert.gan.settings import GanSettings
from invert.gan.start import begin_from_file
from invert.gan.training import GanStep, GanTraining
from invert.gan.training_state import resume_run, save_run
from invert.hardware.modes import default_modes
from invert.images.images import to_pil, write_png

SAVE_SECONDS = 60.0
LINE_SECONDS = 10.0  # between two lines of the history
GRID = 8  # images a side of the sheet of samples
GRID_SEED = 0


def train_gan(
    data: str | Path,
    output: str | Path,
    *,
    settings: GanSettings,
    steps: int | None = None,
    minutes: float | None = None,
    snapshot_minutes: float = 5.0,
    resume: bool = False,
    start: str | Path | None = None,
    device: torch.device | str = "cpu",
    callback: Callable[[GanStep], object] = lambda step: None,
    measure: Measure = no_measures,
    record: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train until `steps` or `minutes` in all are reached, write the network to `output`, return
    facts.

    data      a picture, a folder of pictures, or a Zarr array [H, W, 3] of uint8
    start     a network file: training begins with its generator, also FNZ_i with a plain one's, and
              with the discriminator of the run in the folder beside it, or a new one where there is
              no such folder (`run_beside`); `settings` have its sizes (`sizes_of`)
    measure   what is measured at every snapshot, beside the losses

    Every minute the folder OUTPUT.run gets `run.pt`, where `resume` goes on. A snapshot, every
    `snapshot_minutes` and at the end, writes the averaged generator to `output`, and to the folder
    a sheet of samples `samples.png`, what was measured to `history.jsonl`, and its plot
    `history.png` where matplotlib is installed. A run that was killed goes on from the last minute
    and ends as if it had not been: the same steps give the same network, bit for bit on a CPU.

    Raises :class:`UsageError` for a run that is there already and not to be resumed, not there and
    to be resumed, to be resumed on other data, or under way in another process.
    """
    data, output = Path(data), Path(output)
    start = None if start is None else Path(start)
    check_sources(data, start)
    run_folder = output.with_suffix(".run")
    with default_modes(), alone_in(run_folder) as folder, interrupts.postponed():
        check_run(folder, resume=resume)
        with interrupts.immediate():  # nothing to keep yet
            crops = Crops(open_pictures(data, folder / "pictures"), settings.crops, settings.seed)
            training = GanTraining(settings, crops, device)
            training.data = data_digest(data)
            if resume:
                resume_run(training, folder / STATE)
            elif start is not None:
                begin_from_file(training, start)
        forget_later_steps(folder / HISTORY, training.step if resume else -1)

        notes = Notes(training, folder, output, data, snapshot_minutes, measure, record)
        return notes.train(steps, minutes, callback)


def check_sources(data: Path, start: Path | None) -> None:
    """Raise :class:`UsageError` unless the data and the network that training begins from exist."""
    if not data.exists():
        raise UsageError(f"{data}: no such picture or folder")
    if start is not None and not start.exists():
        raise UsageError(f"{start}: no such network")


class Notes:
    """What a run leaves in its folder while it trains."""

    def __init__(
        self,
        training: GanTraining,
        folder: Path,
        output: Path,
        data: Path,
        snapshot_minutes: float,
        measure: Measure,
        record: Mapping[str, Any] | None,
    ) -> None:
        self.training, self.folder, self.output, self.data = training, folder, output, data
        self.snapshot_seconds = snapshot_minutes * 60
        self.measure, self.record = measure, record
        self.saved = self.written = time.perf_counter()
        self.told = 0.0  # seconds of training at the last line of the history
        self.measured: dict[str, float] = {}

    def train(
        self, steps: int | None, minutes: float | None, callback: Callable[[GanStep], object]
    ) -> dict[str, Any]:
        """Train to the end, or to an interrupt; returns the facts."""
        training, earlier = self.training, (self.training.step, self.training.seconds)
        self.told = training.seconds

        def each(step: GanStep) -> None:
            if step.seconds - self.told > LINE_SECONDS:
                add_line(self.folder / HISTORY, asdict(step))
                self.told = step.seconds
            if time.perf_counter() - self.saved > SAVE_SECONDS:
                save_run(training, self.folder / STATE)
                self.saved = time.perf_counter()
            if time.perf_counter() - self.written > self.snapshot_seconds:
                self.snapshot("under way")
            callback(step)

        stop_reason = "done"
        try:
            seconds = None if minutes is None else minutes * 60
            training.run(steps=steps, seconds=seconds, callback=each)
        except KeyboardInterrupt:
            stop_reason = "interrupted"
        save_run(training, self.folder / STATE)
        facts = self.snapshot(stop_reason)

        if interrupts.taken():  # while it was written
            facts["stop_reason"] = "interrupted"
        elapsed = training.seconds - earlier[1]
        seen = (training.step - earlier[0]) * training.settings.batch
        return {**facts, "images_per_second": seen / elapsed if elapsed else 0.0}

    def snapshot(self, stop_reason: str) -> dict[str, Any]:
        """Write the network and a sheet of its samples, measure it; returns the facts."""
        training = self.training
        if stop_reason != "interrupted":
            self.measured = {}

        # The network first: to measure it may take long, or fail.
        facts = self.write_network(stop_reason)
        pictures = training.samples(GRID * GRID, GRID_SEED)
        write_png(sheet(pictures), self.folder / "samples.png")

        if stop_reason != "interrupted":
            self.measured = dict(self.measure(training))
            if self.measured:
                line = {"step": training.step, "seconds": training.seconds, **self.measured}
                add_line(self.folder / HISTORY, line)
                facts = self.write_network(stop_reason)
        if can_plot():
            batch = training.settings.batch
            plot_history(self.folder / HISTORY, self.folder / "history.png", batch)
        self.written = time.perf_counter()
        return facts

    def write_network(self, stop_reason: str) -> dict[str, Any]:
        """Write the averaged generator and the facts about it, which are returned."""
        facts = self.facts(stop_reason)
        tensors, config = self.training.checkpoint()
        details = {**facts, **(self.record or {})}
        write_checkpoint(self.output, Checkpoint("stylegan2", FORMAT, config, tensors, details))
        return facts

    def facts(self, stop_reason: str) -> dict[str, Any]:
        """What the network's file says about how it was made and measured."""
        training = self.training
        return {
            "data": self.data.name,
            "settings": asdict(training.settings),
            "start": training.start,
            "steps": training.step,
            "images": training.images,
            "hours": training.seconds / 3600,
            "measured": dict(self.measured),
            "stop_reason": stop_reason,
            "device": training.device.type,
            "torch": torch.__version__,
        }


def sheet(images: Tensor) -> Any:
    """N² images [N², 3, R, R] as one picture of N by N."""
    count, colours, side, _ = images.shape
    n = round(count**0.5)
    rows = images.view(n, n, colours, side, side).permute(2, 0, 3, 1, 4)
    return to_pil(rows.reshape(1, colours, n * side, n * side))[0]
