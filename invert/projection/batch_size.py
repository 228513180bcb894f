"""How many photographs a device can project at once."""

from __future__ import annotations

from dataclasses import replace

from invert import interrupts
from invert.generator import Generator
from invert.hardware.graphs import has_graphs
from invert.hardware.memory import free_bytes, peak_bytes
from invert.projection.project_file import Photograph, ProjectionJob, project_photographs

SHARE = 0.8  # of free memory that a batch may take
# With graphs: they hold the memory of a step, and a kind that is not yet recorded takes as much.
SHARE_WITH_GRAPHS = 0.4


def fitting_batch_size(
    generator: Generator, photograph: Photograph, job: ProjectionJob, most: int
) -> int:
    """How many photographs like this one fit into free memory, from 1 to `most`.

    One step is made, and the memory that it takes is measured. A CPU, and a device that does not
    tell its memory, gets 1.
    """
    free = free_bytes(generator.device)
    if free is None or most == 1:
        return 1

    # A step of whole pictures takes most. The first run fills caches, among them the distributions
    # of generated points.
    short = job.settings.replace(steps=1, init_steps=1, companion_steps=1, preview=0.0)
    short_job = replace(job, settings=short, progress_format=None)
    with interrupts.immediate():
        project_photographs(generator, [photograph], short_job)
        with peak_bytes(generator.device) as peak:
            project_photographs(generator, [photograph], short_job)

    graphs = job.settings.graphs and has_graphs(generator.device)
    share = SHARE_WITH_GRAPHS if graphs else SHARE
    return max(1, min(most, int(share * free / max(1, peak[0]))))
