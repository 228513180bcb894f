"""Times and memory on any device, within a limit of time, and the table that they make."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import click
import torch


@dataclass(frozen=True)
class Figure:
    """One number: of what, how large, in which unit; `note` says what it was under."""

    part: str
    what: str
    value: float
    unit: str
    note: str = ""


@dataclass
class Stopwatch:
    """Measures on one device until time is up.

    seconds  of one figure, at least one run after one that is not counted
    limit    of all, in seconds; what begins later is left out, and named
    """

    device: torch.device
    seconds: float
    limit: float
    figures: list[Figure] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.perf_counter)

    def left(self) -> float:
        """Seconds until time is up."""
        return self.limit - (time.perf_counter() - self.begun)

    def part(self, name: str, function: Callable[[], Any], needs: float) -> None:
        """Measure a part, if there is time for the seconds that it needs; a failure is a line."""
        if self.left() < needs:
            self.leave_out(name, f"it needs {needs:.0f} s, {max(0, self.left()):.0f} s are left")
            return
        click.echo(f"{name} …", err=True)
        try:
            function()
        except Exception as error:
            reason = (str(error) or "no reason given").splitlines()[0]
            self.leave_out(name, f"{type(error).__name__}: {reason}")
        self.free()

    def leave_out(self, name: str, reason: str) -> None:
        """Say that a part has no figures, and why."""
        self.left_out.append(f"{name}: {reason}")
        click.echo(f"left out: {name}: {reason}", err=True)

    def add(self, part: str, what: str, value: float, unit: str, note: str = "") -> None:
        """One more line of the table, shown at once."""
        figure = Figure(part, what, value, unit, note)
        self.figures.append(figure)
        click.echo(shown(figure))

    def time(self, part: str, what: str, run: Callable[[], Any], *, note: str = "") -> float:
        """Add the median milliseconds of `run`, and its highest memory on a GPU.

        On a CPU the note has the processor time of all threads, which others that are busy do not
        lengthen.
        """
        self.wait()
        self.reset_peak()
        run()
        self.wait()

        times: list[float] = []
        began, processor = time.perf_counter(), time.process_time()
        while not times or time.perf_counter() - began < self.seconds:
            start = time.perf_counter()
            run()
            self.wait()
            times.append(time.perf_counter() - start)
        processor = (time.process_time() - processor) / len(times)
        if self.device.type == "cpu":
            note = f"{note} {processor * 1e3:.0f} ms of processor time".strip()
        median = statistics.median(times)
        self.add(part, what, median * 1e3, "ms", f"{note} {self.peak()}".strip())
        return median

    def once(self, run: Callable[[], Any]) -> float:
        """Seconds of one run, the first; on a CPU of processor time."""
        clock = time.process_time if self.device.type == "cpu" else time.perf_counter
        self.wait()
        self.reset_peak()
        start = clock()
        run()
        self.wait()
        return clock() - start

    # -- the device

    @property
    def gpu(self) -> bool:
        """Whether the device is CUDA's."""
        return self.device.type == "cuda"

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.device.type != "cpu":
            torch.get_device_module(self.device).synchronize()

    def reset_peak(self) -> None:
        """Count the highest memory from here on."""
        if self.gpu:
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> str:
        """The highest memory since, in words; of the process so far where it cannot be reset."""
        if self.gpu:
            return f"{torch.cuda.max_memory_allocated(self.device) / 2**30:.2f} GiB"
        return ""

    def free(self) -> None:
        """Give memory back before the next part."""
        if self.gpu:
            torch.cuda.empty_cache()

    def about(self) -> dict[str, Any]:
        """What it was measured on."""
        gpu = torch.cuda.get_device_properties(self.device) if self.gpu else None
        return {
            "device": str(self.device) if gpu is None else gpu.name,
            "memory_gib": None if gpu is None else round(gpu.total_memory / 2**30, 1),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version() if self.gpu else None,
            "threads": torch.get_num_threads(),
            "processor_seconds": round(time.process_time(), 1),
            "process_peak_gib": round(process_peak() / 2**30, 2),
            "seconds": round(time.perf_counter() - self.begun, 1),
        }

    def as_json(self) -> dict[str, Any]:
        """Everything, for a file."""
        figures = [asdict(figure) for figure in self.figures]
        return {**self.about(), "left_out": self.left_out, "figures": figures}


def process_peak() -> int:
    """The highest resident size of this process so far, in bytes."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def shown(figure: Figure) -> str:
    """A line of the table."""
    value = f"{figure.value:.4g} {figure.unit}".rstrip()
    return f"{figure.part:12} {figure.what:58} {value:>14}  {figure.note}".rstrip()
