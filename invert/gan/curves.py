"""The plot of a run's history: losses, R1, path length, augmentations, and what was measured."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invert.files.atomic_files import write_atomically
from invert.files.run_folder import read_lines

PANELS = {  # title: fields of a line
    "losses": ("generator", "discriminator"),
    "R1, squared gradient": ("r1",),
    "path length": ("path_length",),
    "probability of augmentations": ("probability",),
    "fd-vgg16": ("fd_vgg16",),
}


def can_plot() -> bool:
    """Whether matplotlib (extra `plots`) is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def plot_history(history: Path, output: Path, batch: int) -> None:
    """Draw the lines of a history as a PNG, over thousands of real images of `batch` a step.

    Needs matplotlib (:func:`can_plot`).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in read_lines(history)]
    panels = {title: fields for title, fields in PANELS.items() if has_any(lines, fields)}
    figure = Figure(figsize=(8, 1.8 * max(1, len(panels))), layout="constrained")
    axes = figure.subplots(max(1, len(panels)), 1, sharex=True, squeeze=False)[:, 0]

    for ax, (title, fields) in zip(axes, panels.items(), strict=False):
        for field in fields:
            points = [(line["step"] * batch / 1000, line[field]) for line in lines if field in line]
            ax.plot(*zip(*points, strict=True), label=field, linewidth=0.8)
        ax.set_title(title, fontsize=9)
        if len(fields) > 1:
            ax.legend(fontsize=8)
    axes[-1].set_xlabel("thousands of real images")

    data = io.BytesIO()
    FigureCanvasAgg(figure).print_png(data)
    write_atomically(output, lambda file: file.write(data.getvalue()))


def has_any(lines: list[Mapping[str, Any]], fields: tuple[str, ...]) -> bool:
    """Whether any line has any of the fields."""
    return any(field in line for line in lines for field in fields)
