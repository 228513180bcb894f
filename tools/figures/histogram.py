"""A latent's values against generated ones as a picture for a sheet ([S] fig. 7.4)."""

from __future__ import annotations

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

BINS = 60
DPI = 100


def histogram(
    values: Tensor, generated: Tensor, limits: tuple[float, float], side: int
) -> Image.Image:
    """Densities of `values` (line) and of `generated` ones (filled) in a square picture.

    Values outside the limits are left out.
    """
    figure = Figure(figsize=(side / DPI, side / DPI), dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()

    # Densities integrate to the share of the values within the limits.
    low, high = limits
    edges = torch.linspace(low, high, BINS + 1).tolist()
    for sample, filled, colour in ((generated, True, "0.8"), (values, False, "C0")):
        counts = torch.histc(sample.detach().flatten().double(), BINS, low, high)
        density = counts / sample.numel() * BINS / (high - low)
        axes.stairs(density.tolist(), edges, fill=filled, color=colour)

    axes.set_xlim(low, high)
    axes.set_yticks([])
    axes.tick_params(labelsize=7)
    canvas.draw()
    return Image.frombuffer("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert(
        "RGB"
    )
