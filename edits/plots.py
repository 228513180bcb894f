"""A picture of how far a latent is from what its generator makes ([S] fig. 7.4, 7.10)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from invert.errors import UsageError
from invert.files.atomic_files import write_atomically
from invert.files.provenance import KEY, Record, as_text
from invert.generator import Generator
from invert.images.images import check_suffix
from invert.latents.distributions import wasserstein
from invert.latents.latent import Latent
from invert.metrics.distribution_distance import distribution_parts

BINS = 100
NORMAL_VALUES = 2**16  # quantiles that stand for N(0, 1)
SHOWN = 0.999  # share of the values within the axis


@dataclass(frozen=True)
class Distribution:
    """One part's values beside generated ones.

    name       "styles", "features", "rgb" or "noise"
    values     [N, …] of the latent
    generated  [m], ascending
    distance   Wasserstein-1 between the two
    """

    name: str
    values: Tensor
    generated: Tensor
    distance: float


def distributions(generator: Generator, latent: Latent) -> list[Distribution]:
    """Styles, features, rgb and noise, as far as the latent has them; noise against N(0, 1)."""
    generator.check(latent)
    latent = latent.detach().to(generator.device, generator.dtype)

    # The parts with generated ones to compare, and noise with N(0, 1); the last layer has none.
    parts = dict(distribution_parts(generator, latent))
    if latent.noise:
        noise = torch.cat([n.flatten(1) for n in latent.noise], 1)
        levels = (torch.arange(NORMAL_VALUES, dtype=torch.float64) + 0.5) / NORMAL_VALUES
        parts["noise"] = noise, torch.special.ndtri(levels).to(noise)
    return [
        Distribution(name, v, t, wasserstein(v, t).mean().item()) for name, (v, t) in parts.items()
    ]


def distribution_figure(
    generator: Generator, latent: Latent, path: str | Path, record: Record | None = None
) -> dict[str, float]:
    """Write histograms of each part and of generated ones to a `.png`; the distances by part.

    A `record` says what it was made from (:mod:`invert.files.provenance`).
    Raises :class:`UsageError` without matplotlib, for another suffix, and for a latent that has no
    part to show.
    """
    check_suffix(path, ".png")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("figures need matplotlib; pip install 'invert[plots]'") from error

    parts = distributions(generator, latent)
    if not parts:
        raise UsageError(f"{latent.space} has no distribution to show; convert it to W first")

    # One diagram per part: generated values as a grey area, the latent's as a line.
    figure = Figure(figsize=(4 * len(parts), 3), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, part in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        low, high = axis_limits(part)
        for values, label, style in (
            (part.generated, "N(0, 1)" if part.name == "noise" else "generated", "stepfilled"),
            (part.values, "this latent", "step"),
        ):
            counts = torch.histc(values.flatten().cpu().double(), BINS, low, high)
            density = counts / values.numel() * BINS / (high - low)
            edges = torch.linspace(low, high, BINS + 1)
            axes.hist(
                edges[:-1].tolist(),
                edges.tolist(),
                weights=density.tolist(),
                histtype=style,
                label=label,
                color="0.8" if style == "stepfilled" else "C0",
            )
        axes.set_title(f"{part.name}   W₁ = {part.distance:.4f}")
        axes.set_yticks([])
    figure.axes[0].legend(frameon=False, fontsize="small")

    # Written at once, with what it was made from in its text.
    encoded = io.BytesIO()
    metadata = {"Software": None} | ({} if record is None else {KEY: as_text(record)})
    figure.savefig(encoded, format="png", dpi=120, metadata=metadata)
    write_atomically(path, lambda f: f.write(encoded.getvalue()))
    return {part.name: part.distance for part in parts}


def axis_limits(part: Distribution) -> tuple[float, float]:
    """Limits that hold nearly all values of both, never empty."""
    ends = []
    for values in (part.values.flatten().sort().values, part.generated):
        cut = int(len(values) * (1 - SHOWN) / 2)
        ends += [values[cut].item(), values[len(values) - 1 - cut].item()]
    low, high = min(ends), max(ends)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
