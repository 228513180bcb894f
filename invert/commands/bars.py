"""Progress bars on stderr; none where stderr is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")


def counted(items: Iterable[Item], total: int, unit: str) -> Iterable[Item]:
    """The items, one by one, while a bar counts them."""
    from tqdm import tqdm

    return tqdm(items, total=total, unit=unit, leave=False, disable=None)


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[..., None]]:
    """A callback for `project` that draws one bar per stage."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def update(step: Any) -> None:
        if step.stage not in bars:
            label = name if step.stage == "project" else f"{name} ({step.stage})"
            bars[step.stage] = tqdm(total=step.steps, desc=label, unit="step", leave=False, disable=None)
        bar = bars[step.stage]
        bar.set_postfix(loss=f"{step.loss:.4f}", mse=f"{step.mse:.4f}", refresh=False)
        bar.update(step.step - bar.n)

    try:
        yield update
    finally:
        for bar in bars.values():
            bar.close()


@contextmanager
def download_bar(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress callback for downloads."""
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, leave=False, disable=None) as bar:

        def update(stage: str, done: int, total: int) -> None:
            bar.set_description(f"{name}: {stage}", refresh=False)
            bar.total = total or None
            bar.n = done
            bar.refresh()

        yield update
