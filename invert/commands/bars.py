"""Progress bars on stderr; none where stderr is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from invert.commands.terminal import LONGEST_LABEL, printable

Item = TypeVar("Item")


def counted(items: Iterable[Item], total: int, unit: str) -> Iterable[Item]:
    """The items, one by one, while a bar counts them."""
    from tqdm import tqdm

    return tqdm(items, total=total, unit=unit, leave=False, disable=None)


def progress_bar(name: str) -> AbstractContextManager[Callable[[Any], None]]:
    """A callback for `project` that draws one bar per stage, for all images of a batch."""

    def label(stage: str) -> str:
        return name if stage == "project" else f"{name} ({stage})"

    return stage_bars(label, lambda step: {"loss": f"{step.loss:.4f}", "mse": f"{step.mse:.4f}"})


@contextmanager
def stage_bars(
    label: Callable[[str], str], postfix: Callable[[Any], dict[str, str]]
) -> Iterator[Callable[[Any], None]]:
    """A callback for steps with a `stage`, `step` and `steps`: one bar per stage.

    `postfix` says what to show beside the bar of a step.
    """
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def update(step: Any) -> None:
        if step.stage not in bars:
            name = printable(label(step.stage), LONGEST_LABEL)
            bars[step.stage] = tqdm(
                total=step.steps, desc=name, unit="step", leave=False, disable=None
            )
        bar = bars[step.stage]
        if shown := postfix(step):
            bar.set_postfix(shown, refresh=False)
        bar.update(step.step - bar.n)

    try:
        yield update
    finally:
        for bar in bars.values():
            bar.close()


@contextmanager
def training_bar(
    name: str,
    steps: int | None,
    minutes: float | None,
    postfix: Callable[[Any], dict[str, str]],
) -> Iterator[Callable[[Any], None]]:
    """A callback for the steps of a training of so many `steps`, or of `minutes` in all.

    Steps have `step`, `seconds` and `images_per_second`; `postfix` says what else to show.
    """
    from tqdm import tqdm

    label = printable(name, LONGEST_LABEL)
    with tqdm(total=steps, desc=label, unit="step", leave=False, disable=None) as bar:

        def update(step: Any) -> None:
            shown = {**postfix(step), "images": f"{step.images_per_second:.3g}/s"}
            if minutes is not None:
                shown["left"] = f"{max(0.0, minutes - step.seconds / 60):.0f}min"
            bar.set_postfix(shown, refresh=False)
            bar.update(step.step - bar.n)

        yield update


@contextmanager
def download_bar(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress callback for downloads."""
    from tqdm import tqdm

    name = printable(name, LONGEST_LABEL)
    with tqdm(desc=name, unit="B", unit_scale=True, leave=False, disable=None) as bar:

        def update(stage: str, done: int, total: int) -> None:
            bar.set_description(f"{name}: {stage}", refresh=False)
            bar.total = total or None
            bar.n = done
            bar.refresh()

        yield update


@contextmanager
def counted_calls(total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """A callback that takes how many are done, while a bar shows it."""
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, leave=False, disable=None) as bar:
        yield lambda done: bar.update(done - bar.n) and None
