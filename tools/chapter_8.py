"""The experiment of [S] chapter 8 in small: five generators of one plain one, compared.

    python tools/chapter_8.py FOLDER --data LAND.png                  # train, measure and show
    python tools/chapter_8.py FOLDER --data LAND.png --only compare   # of what was trained before

As in [S] 8.2 a plain generator is trained first; then it goes on, and four others branch off it
whose F_3 or F_5 is drawn, from blurred noise and from N(0, 1), all for as many images. Everything
resumes where it stopped. FOLDER gets the networks, `table.json` and the pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

import invert
from invert.gan.crops import Crops, open_pictures
from invert.gan.settings import GanSettings
from invert.gan.training import GanStep
from invert.gan.training_run import sheet, train_gan
from invert.generator import Generator
from invert.images.images import to_pil
from invert.loading import load_generator
from invert.metrics.moments import Moments, frechet_distance
from invert.metrics.picture_sets import GeneratedPictures, batches_of
from invert.metrics.vgg16_features import VGG16Features, load_vgg16_features, vgg16_moments

LAND = GanSettings(min_detail=8, max_blue=0.5, mirror=True, turn=True)
BRANCHES = {  # name: what F_i is
    "plain": {"space": "Z"},
    "f3-blurred": {"space": "FNZ3", "latent": "blurred"},
    "f3-normal": {"space": "FNZ3", "latent": "normal"},
    "f5-blurred": {"space": "FNZ5", "latent": "blurred"},
    "f5-normal": {"space": "FNZ5", "latent": "normal"},
}
SHOWN = 64  # samples of a sheet, and those whose layouts are compared
MEASURE_SEEDS = (1, 2, 3)
BATCH = 64


def settings_of(name: str) -> GanSettings:
    """The settings of a branch."""
    return GanSettings(**{**vars(LAND), **BRANCHES[name]})


@dataclass(frozen=True)
class Budget:
    """How long to train: steps, or minutes."""

    steps: int | None = None
    minutes: float | None = None


def train(
    folder: Path, data: Path, first: Budget, branch: Budget, device: str, names: Sequence[str]
) -> None:
    """Train the plain generator, then the branches."""
    start = folder / "start.safetensors"
    trained(start, data, LAND, first, None, device)
    for name in names:
        trained(folder / f"{name}.safetensors", data, settings_of(name), branch, start, device)


def trained(
    path: Path,
    data: Path,
    settings: GanSettings,
    budget: Budget,
    start: Path | None,
    device: str,
) -> None:
    """Train as long as the budget says, earlier sittings included."""
    resume = (path.with_suffix(".run") / "run.pt").exists()
    told = 0.0

    def tell(step: GanStep) -> None:
        nonlocal told
        if step.seconds - told > 60:
            told = step.seconds
            print(
                f"{path.stem}: {step.images} images, {step.images_per_second:.3g} a second, "
                f"G {step.generator:.2f}, D {step.discriminator:.2f}, r1 {step.r1:.3f}",
                flush=True,
            )

    facts = train_gan(
        data,
        path,
        settings=settings,
        steps=budget.steps,
        minutes=budget.minutes,
        resume=resume,
        start=None if resume else start,
        device=device,
        callback=tell,
    )
    print(f"{path.stem}: {facts['images']} images, {facts['hours'] * 60:.0f} minutes", flush=True)


def distances(
    generator: Generator, data: Moments, features: VGG16Features, count: int, cut: int
) -> list[float]:
    """fd-vgg16 from the data for each seed of the measure, without `cut` pixels at the edges."""
    found = []
    for seed in MEASURE_SEEDS:
        seeds = range(seed * 1_000_000, seed * 1_000_000 + count)
        samples = batches_of(GeneratedPictures(generator, seeds))
        moments = vgg16_moments((inside(batch, cut) for batch in samples), features)
        found.append(frechet_distance(data, moments))
    return found


def inside(images: Tensor, cut: int) -> Tensor:
    """Images [N, 3, R, R] without `cut` pixels at each edge."""
    side = images.shape[2] - cut
    return images[:, :, cut:side, cut:side].contiguous()


def edge_correlations(images: Tensor) -> np.ndarray:
    """Correlations of the edges of all pairs of images [N, 3, R, R]: high where layouts repeat.

    An edge is the gradient of the blurred grey picture (Sobel); correlated are its magnitudes.
    """
    grey = images.mean(1).cpu().numpy()
    grey = ndimage.gaussian_filter(grey, (0, 2, 2))
    edges = np.hypot(ndimage.sobel(grey, 1), ndimage.sobel(grey, 2)).reshape(len(grey), -1)
    return np.corrcoef(edges)[np.triu_indices(len(grey), 1)]


def compare(
    folder: Path, data: Path, count: int, cut: int, device: str, names: Sequence[str]
) -> None:
    """Measure and show networks of the folder; `table.json` keeps what it has of others."""
    crops = Crops(open_pictures(data, folder / "pictures"), LAND.crops)
    features = load_vgg16_features(device=device)
    batches = (inside(crops.batch(2**40 + k, BATCH), cut) for k in range(0, count, BATCH))
    real = vgg16_moments(batches, features)
    sheet(crops.batch(2**41, SHOWN)).save(folder / "data.png")

    others = (inside(crops.batch(2**40 + count + k, BATCH), cut) for k in range(0, count, BATCH))
    floor = frechet_distance(real, vgg16_moments(others, features))

    kept = folder / (f"table-{cut}.json" if cut else "table.json")
    table = json.loads(kept.read_text()) if kept.exists() else {}
    table |= {
        "data": {"fd_vgg16": [floor], "edges": facts_of_edges(crops.batch(2**41, SHOWN))},
        "measure": {"count": count, "cut": cut, "seeds": list(MEASURE_SEEDS), **features.facts},
    }
    for name in names:
        path = folder / f"{name}.safetensors"
        if not path.exists():
            continue
        generator, space = load_generator(path, device=device), BRANCHES[name]["space"]
        shown = torch.cat(list(batches_of(GeneratedPictures(generator, range(SHOWN))))).cpu()
        sheet(shown).save(folder / f"{name}.png")
        table[name] = {
            "fd_vgg16": distances(generator, real, features, count, cut),
            "edges": facts_of_edges(shown),
        }
        print(name, table[name], flush=True)
        if space != "Z":
            show_maps(generator, space, folder / f"{name}.maps.png")
            show_large(generator, space, folder / f"{name}.large.png")
        kept.write_text(json.dumps(table, indent=1) + "\n")


def facts_of_edges(images: Tensor) -> dict[str, float]:
    """The mean and the highest correlation of edges over the pairs of some images."""
    found = edge_correlations(images)
    return {"mean": float(found.mean()), "highest": float(found.max())}


def show_maps(generator: Generator, space: str, path: Path, channels: int = 8) -> None:
    """Channels of one F_i, from the first, which is the least blurred, to the last."""
    features = generator.sample(0, space=space).features
    assert features is not None
    chosen = torch.linspace(0, features.shape[1] - 1, channels).round().long()
    maps = features[0, chosen.to(features.device)].cpu() / 3
    row = torch.cat(list(maps), 1)[None, None].expand(1, 3, -1, -1)
    side = 64 * channels
    to_pil(row)[0].resize((side, 64), Image.Resampling.NEAREST).save(path)


def show_large(generator: Generator, space: str, path: Path, times: int = 4) -> None:
    """One picture of 16 times the area of those in training."""
    side = times * generator.layer(generator.network.first).size
    latent = generator.sample(3, space=space, features=(side, side))
    to_pil(generator.render(latent))[0].save(path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, help="of all training, instead of steps")
    parser.add_argument("--start-steps", type=int, default=7000, help="of the plain generator")
    parser.add_argument("--steps", type=int, default=2500, help="of every branch")
    parser.add_argument("--count", type=int, default=2048, help="samples of a measure")
    parser.add_argument(
        "--cut", type=int, default=0, help="pixels at the edges left out of measures"
    )
    parser.add_argument("--only", choices=("train", "compare"))
    parser.add_argument("--branch", action="append", choices=tuple(BRANCHES))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    invert.keep_large_blocks()
    args.folder.mkdir(parents=True, exist_ok=True)
    names = args.branch or list(BRANCHES)
    first, branch = Budget(args.start_steps), Budget(args.steps)
    if args.minutes is not None:  # half for the plain generator, as much for all branches
        first = Budget(minutes=args.minutes / 2)
        branch = Budget(minutes=args.minutes / 2 / len(names))
    if args.only != "compare":
        train(args.folder, args.data, first, branch, args.device, names)
    if args.only != "train":
        compare(args.folder, args.data, args.count, args.cut, args.device, names)


if __name__ == "__main__":
    main()
