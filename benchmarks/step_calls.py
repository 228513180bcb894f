"""How often a step of a projection calls an operator, and how often the CPU waits for the device.

    python benchmarks/step_calls.py [--old CHECKOUT]
    python benchmarks/step_calls.py --network ffhq-mobile --steps 1,3 --no-recorded

A GPU computes such a step in a few milliseconds, and waits while Python calls some thousands of
operators: so the calls are counted. Here there is no GPU: the device is that of
`tests/simulated_device.py`, on which reads are counted and graphs can be recorded. Two runs of
different lengths give the calls of a step by their difference, whatever happens around the steps.
Calls under a recorded graph are none of Python's, which launches it at once; they are counted
with as many steps before as it takes to record every kind. The default network is a random 64 px
StyleGAN2, since sizes do not change the number of calls, and layers do.

`--old` counts the same with the code of another checkout beside it. Prints a table and, with
`--json FILE`, writes it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
SMALL = "small"
RECORDED = (60, 80)  # steps of two runs; before the first ends every kind of step is recorded


def count(network: str, space: str, lengths: tuple[int, int], recorded: bool) -> dict[str, Any]:
    """The calls per step of the code that this process imports."""
    import pytest
    import torch
    from simulated_device import DEVICE, simulated_device
    from torch.utils._python_dispatch import TorchDispatchMode

    import invert
    from invert.projection.companion_fit import likely_styles
    from invert.projection.settings import preset

    class Calls(TorchDispatchMode):
        """Counts what Python calls, as far as it reaches a kernel or makes a view."""

        def __init__(self) -> None:
            super().__init__()
            self.calls: Counter[str] = Counter()

        def __torch_dispatch__(
            self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
        ) -> Any:
            self.calls[func.name()] += 1
            return func(*args, **(kwargs or {}))

    def per_step(
        run: Callable[[int], object],
        lengths: tuple[int, int],
        setting: Callable[[], AbstractContextManager[object]],
    ) -> dict[str, float]:
        """Calls and reads of one step, by the difference of two runs."""
        totals = []
        for steps in lengths:
            with setting(), Calls() as calls:
                DEVICE.host_reads.clear()
                run(steps)
            totals.append((sum(calls.calls.values()), sum(DEVICE.host_reads.values())))
        (calls_0, reads_0), (calls_1, reads_1) = totals
        steps = lengths[1] - lengths[0]
        return {"calls": (calls_1 - calls_0) / steps, "reads": (reads_1 - reads_0) / steps}

    @contextmanager
    def without_graphs() -> Iterator[None]:
        """The device as if it had no graphs."""
        with pytest.MonkeyPatch.context() as patch:
            if hasattr(DEVICE, "CUDAGraph"):
                patch.delattr(type(DEVICE), "CUDAGraph")
            yield

    def load(device: torch.device) -> invert.Generator:
        """The network on the device; the small one is that of the tests."""
        if network != SMALL:
            return invert.load_generator(network, device=device)
        from networks import small_checkpoint

        from invert.loading import generator_from_checkpoint

        return generator_from_checkpoint(small_checkpoint(), name=SMALL, device=device)

    counts: dict[str, Any] = {}
    with simulated_device() as device:
        generator = load(device)
        target = generator.render(generator.sample(0))
        settings = preset("fast", space).replace(companion_steps=1, crop_size=32)
        maps = generator.convert(generator.sample(0), "FW5")
        features = [t for t in (maps.features, maps.rgb) if t is not None]

        def project(steps: int) -> object:
            return invert.project(
                generator, target, space, settings=settings.replace(steps=steps), init="mean"
            )

        def companion(steps: int) -> object:
            return likely_styles(generator, maps.space, features, steps)

        project(1)  # what is computed once per process
        parts = {"project": project, "companion": companion}
        for name, run in parts.items():
            counts[name] = per_step(run, lengths, without_graphs)
            if recorded and hasattr(DEVICE, "CUDAGraph"):
                counts[f"{name}, recorded"] = per_step(run, RECORDED, nullcontext)
    return counts


def in_own_process(code: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """The counts of the code in a checkout."""
    folders = os.pathsep.join([str(code), str(code / "tests")])
    environment = {**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--here", *arguments]
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@click.command()
@click.option("--network", default=SMALL)
@click.option("--space", default="FNW5")
@click.option("--steps", default="20,40", help="Of the two runs that are compared.")
@click.option("--recorded/--no-recorded", default=True, help="Count steps under graphs, too.")
@click.option("--old", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "path", type=click.Path(path_type=Path))
@click.option("--here", is_flag=True, hidden=True)
def main(
    network: str,
    space: str,
    steps: str,
    recorded: bool,
    old: Path | None,
    path: Path | None,
    here: bool,
) -> None:
    if here:
        first, second = map(int, steps.split(","))
        click.echo(json.dumps(count(network, space, (first, second), recorded)))
        return

    arguments = ["--network", network, "--space", space, "--steps", steps]
    arguments += [] if recorded else ["--no-recorded"]
    checkouts = {"new": ROOT} if old is None else {"old": old.resolve(), "new": ROOT}
    results = {name: in_own_process(code, arguments) for name, code in checkouts.items()}
    for name, counts in results.items():
        for part, values in counts.items():
            click.echo(
                f"{name:4} {part:22} {values['calls']:8.1f} calls  {values['reads']:6.2f} reads"
            )
    if path:
        path.write_text(json.dumps({"network": network, "space": space, **results}, indent=2))


if __name__ == "__main__":
    main()
