"""Edits of projected faces beside the edits of the faces themselves.

    python benchmarks/fast.py --old PATH                  # projects generated faces, among others
    python benchmarks/edited_faces.py out/fast/new
    python benchmarks/edited_faces.py out/fast/new --half 0.5 --half 1 --half 2  # to choose it
    python benchmarks/edited_faces.py out/fast/new --half 0.7 --smoothness 0 --damping 0.3

Nobody knows what a photograph should look like after an edit. A generated face can be edited
itself: its styles are known. So FOLDER has projections of generated faces, `seed1000.pt` and so on
as `benchmarks/fast.py` writes them, and the edited projection is compared with the face after the
same edit, at 256 px. Every edit goes both ways. Prints means over faces and signs for each edit and
way in which F_i follows, and writes them all.

`benchmarks/carriers.py` edits exact latents with wrong companions; here are the errors that a
projection makes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import mean

import click
from carriers import EDITS
from spaces import PSI
from torch import Tensor

import invert
from edits.along_direction import edit
from edits.feature_edit_names import FEATURE_EDITS
from edits.feature_edits import FeatureEdit, ResidualWarp
from edits.optical_flow import DAMPING, SMOOTHNESS
from invert.errors import UsageError
from invert.generator import Generator
from invert.images.images import area_downscale
from invert.latents.latent import Latent
from invert.metrics.perceptual import load_perceptual
from invert.metrics.reconstruction import reconstruction_metrics

DISTANCES = ("st-lpips-vgg", "lpips-alex")
SHOWN = (*DISTANCES, "mse")
SIDE = 256


def ways(halves: tuple[float, ...], smoothness: float, damping: float) -> dict[str, FeatureEdit]:
    """The feature edits by name; `ResidualWarp` with each of some settings where there are any."""
    if not halves:
        return FEATURE_EDITS
    return {
        f"residual {half:g}": ResidualWarp(half, smoothness=smoothness, damping=damping)
        for half in halves
    }


def small(generator: Generator, latent: Latent, seed: int | None = None) -> Tensor:
    """The picture of a latent at 256 px; with a seed it has random noise."""
    if seed is None:
        picture = generator.render(latent)
    else:
        picture = generator.render(latent, "random", seed=seed)
    return area_downscale(picture.clamp(-1, 1), (SIDE, SIDE))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--network", default="ffhq-mobile", show_default=True)
@click.option("--half", "halves", multiple=True, type=float, help="Of `ResidualWarp` alone.")
@click.option("--smoothness", default=SMOOTHNESS, show_default=True, help="With --half.")
@click.option("--damping", default=DAMPING, show_default=True, help="With --half.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/edited-faces.json"))
def main(
    folder: Path, network: str, halves: tuple[float, ...], smoothness: float, damping: float,
    out: Path,
) -> None:  # fmt: skip
    invert.keep_large_blocks()
    generator = invert.load_generator(network)
    distances = [load_perceptual(name) for name in DISTANCES]
    projections = {int(path.stem[4:]): Latent.load(path) for path in folder.glob("seed*.pt")}
    if not projections:
        raise UsageError(f"no projections of generated faces, seed1000.pt and so on, in {folder}")

    chosen = ways(halves, smoothness, damping)

    # Every face, edited itself and as a projection.
    found: defaultdict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for seed, projection in sorted(projections.items()):
        face = generator.sample(seed, psi=PSI)
        for name, size in EDITS.items():
            for strength in (size, -size):
                truth = small(generator, edit(generator, face, name, strength), seed)
                for way, features in chosen.items():
                    edited = edit(generator, projection, name, strength, features=features)
                    metrics = reconstruction_metrics(small(generator, edited), truth, distances)
                    found[way, name].append({key: metrics[key] for key in SHOWN})
        click.echo(f"seed {seed} is done", err=True)

    # Means by edit, and of all edits.
    rows: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for (way, name), each in found.items():
        rows[way][name] = {key: mean(one[key] for one in each) for key in SHOWN}
    for way, edits in rows.items():
        edits["mean"] = {key: mean(one[key] for one in edits.values()) for key in SHOWN}
        for name, values in edits.items():
            figures = "  ".join(f"{key} {value:.4f}" for key, value in values.items())
            click.echo(f"{way:16}{name:10}{figures}")

    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {"network": network, "seeds": sorted(projections), "distance from the truth": rows}
    out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
