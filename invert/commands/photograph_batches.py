"""Photographs of `invert project` in batches: read, projected together, written one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invert.commands.bars import progress_bar
from invert.commands.batch import Batch
from invert.commands.destinations import Destinations
from invert.commands.photographs import check_no_folder, stale_progress
from invert.commands.terminal import say
from invert.errors import InvertError, UsageError

if TYPE_CHECKING:
    from invert.encoders.encoder import Encoder
    from invert.generator import Generator
    from invert.projection.initialization import Init
    from invert.projection.outputs import OutputPaths
    from invert.projection.project_file import Photograph, Projected, ProjectionJob
    from invert.projection.recorded import Recordings

MOST = 64  # photographs in a batch; more make a GPU no faster


def check_batch(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    """The number of photographs in a batch; None for "auto". Raises :class:`UsageError`."""
    if value == "auto":
        return None
    if not value.isdecimal() or not 1 <= int(value) <= MOST:
        raise UsageError(f"--batch is auto or an integer in [1, {MOST}], got {value!r}")
    return int(value)


@dataclass(frozen=True)
class Task:
    """A photograph and where the files of its projection go."""

    source: Path
    files: OutputPaths
    destinations: Destinations


Read = tuple[Task, "Photograph"]


@dataclass
class PhotographBatches:
    """Projects photographs, `size` at once: None for as many as fit into the device's memory.

    Photographs of different sizes go into different batches, and a batch that memory does not hold
    is halved. On a CPU every photograph is projected alone. `tell` gets the reports.
    """

    generator: Generator
    job: ProjectionJob
    init: Init
    encoder: Encoder | None
    size: int | None
    failures: Batch
    tell: Callable[[dict[str, Any]], None]
    recordings: Recordings = field(init=False)
    recorded_size: int = 0  # photographs in the batch that they are of

    def run(self, tasks: Sequence[Task]) -> None:
        """Project all of them. Raises KeyboardInterrupt after one, when its batch is written."""
        from invert import interrupts
        from invert.projection.recorded import Recordings

        self.recordings = Recordings()
        if self.generator.device.type == "cpu":
            self.size = 1
        waiting = list(tasks)
        while waiting:
            with interrupts.postponed():
                self.next_batch(waiting)

    def next_batch(self, waiting: list[Task]) -> None:
        """Read photographs from the front of `waiting` until a batch is full, and project them."""
        from invert import interrupts
        from invert.projection.batch_size import fitting_batch_size
        from invert.projection.project_file import read_photograph

        # Read; the first photograph tells how many like it fit.
        read: list[Read] = []
        while waiting and len(read) < (self.size or 1):
            task = waiting.pop(0)
            with self.failures.attempt(task.source), interrupts.immediate():
                check_no_folder(task.source)
                photograph = read_photograph(
                    self.generator, task.source, self.job, init=self.init, encoder=self.encoder
                )
                if self.size is None:
                    most = min(MOST, 1 + len(waiting))
                    self.size = fitting_batch_size(self.generator, photograph, self.job, most)
                read.append((task, photograph))

        # A batch for each size of image.
        groups: dict[Sequence[int], list[Read]] = {}
        for task, photograph in read:
            groups.setdefault(photograph.image.shape, []).append((task, photograph))
        for group in groups.values():
            self.project(group)

    def project(self, group: Sequence[Read]) -> None:
        """Project photographs of one size and write their files; in halves where that fails.

        Raises KeyboardInterrupt when they are written, if one came.
        """
        from invert.hardware.memory import free_memory, is_out_of_memory

        if len(group) == 1:
            with self.failures.attempt(group[0][0].source):
                self.write(group, self.projected(group))
            return

        try:
            projected = self.projected(group)
        except Exception as error:
            if not (lacks_memory := is_out_of_memory(error)) and not isinstance(error, InvertError):
                raise
        else:
            self.write(group, projected)
            return

        # The exception is gone, and with it what its frames held. Another error than that of memory
        # is of one photograph, which halves find out.
        half = len(group) // 2
        if lacks_memory:
            self.recordings.clear()
            free_memory()
            self.size = half
            say(f"out of memory with {len(group)} photographs at once; now {half}", err=True)
        self.project(group[:half])
        self.project(group[half:])

    def projected(self, group: Sequence[Read]) -> list[Projected]:
        """The projections of a group, with a progress bar."""
        from invert.projection.project_file import project_photographs

        # What was recorded for a batch of another size would only take memory.
        if len(group) != self.recorded_size:
            self.recordings.clear()
            self.recorded_size = len(group)

        name = group[0][0].files.latent.stem
        others = f" and {len(group) - 1} more" if len(group) > 1 else ""
        with progress_bar(name + others) as bar:
            photographs = [photograph for _, photograph in group]
            return project_photographs(self.generator, photographs, self.job, bar, self.recordings)

    def write(self, group: Sequence[Read], projected: Sequence[Projected]) -> None:
        """Write the files of a group, and tell of each."""
        from invert.projection.project_file import write_projection

        interrupted = False
        for (task, photograph), one in zip(group, projected, strict=True):
            with self.failures.attempt(task.source):
                destinations = task.destinations
                report = write_projection(
                    self.generator,
                    photograph,
                    one,
                    task.files,
                    self.job,
                    destinations.record,
                    partial(destinations.write, remove=stale_progress(task.files, destinations)),
                )
                self.tell(report)
                interrupted = interrupted or report["stop_reason"] == "interrupted"
        if interrupted:
            raise KeyboardInterrupt
