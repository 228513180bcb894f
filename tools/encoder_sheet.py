"""What a training run of an encoder came to: its curve, and pictures of what it sees.

    python tools/encoder_sheet.py ENCODER.safetensors --out FOLDER

Writes into FOLDER curve.jsonl (a copy of the run's history), curve.png (where matplotlib is
installed) and sheet.png: rows of image and encoding (0 steps), first the portrait and any further
PICTURES, which are taken as they are, then generated faces that no encoder was trained on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from PIL import Image
from torch import Tensor

import invert
from invert.commands.devices import pick_device
from invert.encoders.encoder_files import load_encoder
from invert.images.images import area_downscale, read_image, to_pil, to_tensor, write_png

PORTRAIT = Path(__file__).resolve().parents[1] / "examples" / "portrait.png"
FIRST_SEED = 1000
SIDE = 256  # of a picture on the sheet
COLUMNS = 4  # pairs in a row


def sheet(pairs: Sequence[tuple[Tensor, Tensor]]) -> Image.Image:
    """Pairs of images [1, 3, H, W], each pair side by side, in rows."""
    rows = -(-len(pairs) // COLUMNS)
    whole = Image.new("RGB", (2 * SIDE * min(COLUMNS, len(pairs)), SIDE * rows))
    for k, pair in enumerate(pairs):
        [picture] = to_pil(torch.cat([area_downscale(image.cpu(), SIDE) for image in pair], 3))
        whole.paste(picture, (2 * SIDE * (k % COLUMNS), SIDE * (k // COLUMNS)))
    return whole


def plot_curve(history: Sequence[dict[str, Any]], path: Path) -> None:
    """What was measured on held-out faces over the updates, one panel for each measure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(history[0]["held_out"])
    figure = Figure(figsize=(3 * len(names), 3), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        axes.plot([row["step"] for row in history], [row["held_out"][name] for row in history])
        axes.set_title(name)
        axes.set_xlabel("updates")
    figure.savefig(path, dpi=120)


@click.command()
@click.argument("encoder_file", type=click.Path(path_type=Path))
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path))
@click.option("--network", default="ffhq-mobile")
@click.option("--faces", default=11, help="How many generated faces.")
@click.option("--device", default="auto")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out"))
def main(
    encoder_file: Path,
    pictures: tuple[Path, ...],
    network: str,
    faces: int,
    device: str,
    out: Path,
) -> None:
    generator = invert.load_generator(network, device=pick_device(device))
    encoder = load_encoder(encoder_file, generator)
    out.mkdir(parents=True, exist_ok=True)

    # The curve.
    history = encoder_file.with_suffix(".run") / "history.jsonl"
    if history.exists():
        shutil.copyfile(history, out / "curve.jsonl")
        lines = [json.loads(line) for line in history.read_text().splitlines()]
        try:
            plot_curve(lines, out / "curve.png")
        except ImportError:
            click.echo("no curve.png: matplotlib is not installed", err=True)

    # The pictures.
    targets = [to_tensor(read_image(path)) for path in (PORTRAIT, *pictures)]
    for seed in range(FIRST_SEED, FIRST_SEED + faces):
        point = generator.sample(seed, psi=0.7)
        targets.append(generator.render(point, "random", seed=seed).clamp(-1, 1))
    shown = [generator.render(encoder.encode(generator, image)) for image in targets]
    write_png(sheet(list(zip(targets, shown, strict=True))), out / "sheet.png")
    click.echo(f"{out}: {', '.join(sorted(path.name for path in out.iterdir() if path.is_file()))}")


if __name__ == "__main__":
    main()
