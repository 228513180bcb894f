"""What a figure found, as a JSON file that the page is made from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sheet import Sheet

from invert.files.atomic_files import write_atomically

DIGITS = 5  # significant ones that are kept

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One measured number beside what the paper or our own criterion expects."""

    what: str
    value: float | None  # None: could not be measured
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether it is as it should be; None where nothing was asked or measured."""
        if self.value is None or (self.at_least is None and self.at_most is None):
            return None
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)


@dataclass(frozen=True)
class Figure:
    """A drawn figure: its sheet, the rows of its table, its findings, and how it was made.

    `details` are numbers that the page does not show, one by one for instance.
    """

    sheet: Sheet
    rows: Sequence[Row] = ()
    findings: Sequence[Finding] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


def write_record(path: Path, figure: Figure, facts: Mapping[str, Any]) -> None:
    """Write the numbers of a figure with the facts of the run; floats keep five digits, NaN becomes
    null.
    """
    content = {
        **facts,
        "settings": dict(figure.settings),
        "rows": [dict(row) for row in figure.rows],
        "findings": [{**asdict(f), "holds": f.holds} for f in figure.findings],
        "details": dict(figure.details),
    }
    text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda f: f.write(text.encode()))


def plain(value: Any) -> Any:
    """The value with its floats rounded and everything else as JSON has it."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
