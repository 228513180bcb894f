"""How much of a known edit the feature edits make, on generated faces with an inexact companion.

    python benchmarks/carriers.py
    python benchmarks/carriers.py --first-seed 3000 --half 0.5 --half 0.8 --half 1.2
    python benchmarks/carriers.py --first-seed 3000 --damping 0.1
    python benchmarks/carriers.py --unexplained 0.6

For a photograph nobody knows what the residual should become under an edit. Here it is known: the
latent is a generated face, whose own styles can be edited. Its companion has other styles, at the
distance in W+ at which the share `--unexplained` of the variance of F_i remains unexplained, as for
projections (docs/editing.md). Prints, for each feature edit and direction, the mean share of the
true change of F_i that is not made: 0 is perfect, 1 is no edit.

`benchmarks/edited_faces.py` measures projections, whose residuals hold what no styles make.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import click
import torch
from scipy.optimize import brentq
from torch import Tensor

import invert
from directions.catalog import find
from edits.feature_edits import CompanionDifference, FeatureEdit, ResidualWarp
from edits.optical_flow import DAMPING, SMOOTHNESS
from invert.generator import Generator
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.projection.companion_fit import early_maps

FIRST_SEED = 4000
PSI = 0.8
EDITS = {"yaw": 2.0, "pitch": 2.0, "smile": -3.0, "glasses": 3.0, "age": 3.0, "gender": 2.0}
STILL = 1e9  # damping of motion that leaves none
FARTHEST = 4.0  # standard deviations of W, beyond which no companion is looked for


def point(
    generator: Generator, space: Space, seed: int, unexplained: float
) -> tuple[Tensor, Latent]:
    """The styles [1, num_ws, w_dim] of a generated face, and it as a point whose companion misses a
    share of F_i.
    """
    styles = generator.sample(seed, psi=PSI, space="W+").styles
    assert isinstance(styles, Tensor)
    latent = generator.convert(generator.latent(styles), space)
    features = latent.features
    assert features is not None

    # A random direction of W+, scaled by the covariance of W, and the distance along it.
    normal = torch.randn(styles.shape, generator=torch.Generator().manual_seed(seed))
    away = normal @ generator.statistics().w_factor.T

    def excess(distance: float) -> float:
        made, *_ = early_maps(generator, space, styles + distance * away)
        return ((made - features).square().mean() / features.var()).item() - unexplained

    distance = brentq(excess, 0, FARTHEST, xtol=1e-3)
    return styles, latent.replace(companion=Companion(styles + distance * away))


def not_made(
    generator: Generator,
    feature_edit: FeatureEdit,
    points: Sequence[tuple[Tensor, Latent]],
    offset: Tensor,
) -> float:
    """Mean share of the squared change of F_i that a feature edit does not make."""
    everywhere = torch.ones(1, 1, 1, 1)
    shares = []
    for styles, latent in points:
        assert latent.features is not None
        push = feature_edit.displacement(generator, latent, offset, everywhere).features
        assert push is not None
        true = early_maps(generator, latent.space, styles + offset)[0] - latent.features
        shares.append(((push - true).square().mean() / true.square().mean()).item())
    return mean(shares)


@click.command()
@click.option("--network", default="ffhq-mobile", show_default=True)
@click.option("--layer", default=5, show_default=True)
@click.option("--faces", default=16, show_default=True)
@click.option("--first-seed", default=FIRST_SEED, show_default=True)
@click.option("--unexplained", default=0.3, show_default=True, help="Share of F_i.")
@click.option(
    "--half", "halves", multiple=True, type=float, help="Of `ResidualWarp`; its default without."
)
@click.option("--smoothness", default=SMOOTHNESS, show_default=True, help="Of motion.")
@click.option("--damping", default=DAMPING, show_default=True, help="Of motion.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out/carriers.json"), show_default=True
)
def main(
    network: str, layer: int, faces: int, first_seed: int, unexplained: float,
    halves: tuple[float, ...], smoothness: float, damping: float,
    out: Path,
) -> None:  # fmt: skip
    invert.keep_large_blocks()
    generator = invert.load_generator(network)
    space = Space("W+", layer)
    points = [
        point(generator, space, seed, unexplained) for seed in range(first_seed, first_seed + faces)
    ]
    offsets = {
        f"{name} {s:+g}": find(name).offset(generator.num_ws, s) for name, s in EDITS.items()
    }

    rows: dict[str, dict[str, float]] = {}

    def measure(name: str, feature_edit: FeatureEdit) -> None:
        shares = {
            edit: not_made(generator, feature_edit, points, offset)
            for edit, offset in offsets.items()
        }
        rows[name] = {**shares, "mean": mean(shares.values())}
        click.echo(
            f"{name:28}" + "  ".join(f"{edit} {share:.3f}" for edit, share in rows[name].items())
        )

    measure("difference", CompanionDifference())
    for half in halves or (ResidualWarp().half_change,):
        measure(f"residual {half:g}, held still", ResidualWarp(half, damping=STILL))
        measure(f"residual {half:g}", ResidualWarp(half, smoothness=smoothness, damping=damping))

    out.parent.mkdir(parents=True, exist_ok=True)
    settings = {
        "network": network,
        "layer": layer,
        "faces": faces,
        "first_seed": first_seed,
        "unexplained": unexplained,
    }
    motion = {"smoothness": smoothness, "damping": damping}
    facts = {"torch": torch.__version__, **settings, **motion, "not made": rows}
    out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
