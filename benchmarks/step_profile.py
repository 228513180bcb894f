"""Where a step of a projection spends its processor time, part by part, forward and backward.

    python benchmarks/step_profile.py            # ffhq-mobile, FNW5, preset fast
    python benchmarks/step_profile.py --no-half  # in full precision
    python benchmarks/step_profile.py --repeats 5 --space FNSW5

One thread; the median of some repeats, in the precision that the preset has on this processor. A
part's time is that of its own forward and backward pass, so the sum is that of a step. "Preview" is
the picture at the size of the perceptual distance of the whole image (`Generator.preview`).
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from spaces import FIRST_SEED
from torch import Tensor

import invert
from invert.images.images import area_downscale
from invert.latents.spaces import Space
from invert.metrics.perceptual import perceptual_size
from invert.projection.crop import crop_distance, draw_crop
from invert.projection.descent import Descent
from invert.projection.objective import Objective, preview_size
from invert.projection.projector import networks_for
from invert.projection.regularizers import noise_regularization
from invert.projection.settings import preset

Part = Callable[[], Tensor]


def processor_seconds(part: Part, repeats: int) -> float:
    """The median over some repeats of a part and its gradients, after one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        began = time.process_time()
        part().sum().backward()
        times.append(time.process_time() - began)
    return statistics.median(times[1:])


@click.command()
@click.option("--network", default="ffhq-mobile")
@click.option("--space", default="FNW5")
@click.option("--preset", "preset_name", default="fast")
@click.option("--half/--no-half", default=None)
@click.option("--repeats", default=3)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/step-profile.json"))
def main(
    network: str, space: str, preset_name: str, half: bool | None, repeats: int, out: Path
) -> None:
    invert.keep_large_blocks()
    torch.set_num_threads(1)
    generator, settings = invert.load_generator(network), preset(preset_name, space)
    settings = settings.replace(half=half).for_device(generator.device)
    image = generator.render(generator.sample(FIRST_SEED, psi=0.7), "random").clamp(-1, 1)
    size = perceptual_size(min(generator.image_size), image)
    small = preview_size(generator, Space.parse(space), size[0] / image.shape[2])
    networks = networks_for(generator, settings, None, None)
    painter, whole, crop = networks.generator, networks.whole, networks.crop
    assert whole is not None
    assert crop is not None
    objective = Objective(generator, image, networks)
    descent = Descent(objective, [generator.sample(FIRST_SEED + 1, psi=0.7, space=space)], settings)
    variables = descent.variables
    random = torch.Generator().manual_seed(0)

    # Pictures that are leaves, so that a distance's time is its own.
    picture = image.clone().requires_grad_()
    downscaled = area_downscale(image, size).requires_grad_()
    window = draw_crop((image.shape[2], image.shape[3]), settings.crop_size, random)
    moved = draw_crop(size, settings.crop_size, random, (1,))

    def whole_distance(x: Tensor) -> Tensor:
        assert objective.target is not None
        return whole.to_embedded(area_downscale(x, size), objective.target)

    parts: dict[str, Part] = {
        "picture, whole": lambda: painter.render(variables.latent()).to(image.dtype),
        "picture, preview": lambda: painter.preview(variables.latent(), small).to(image.dtype),
        "squared error, whole": lambda: F.mse_loss(picture, 0 * image),
        f"{whole.name}, whole image": lambda: whole_distance(picture),
        f"{whole.name}, preview": lambda: whole_distance(downscaled),
        f"{crop.name}, crop": lambda: crop_distance(
            crop, picture, image, settings.crop_size, window
        ),
        f"{crop.name}, crop of a preview": lambda: crop_distance(
            crop, downscaled, objective.small, settings.crop_size, moved
        ),
        "distribution term": lambda: objective.distribution_loss(variables.latent()),
        "noise term": lambda: noise_regularization(variables.noise),
    }
    if not small:
        parts = {name: part for name, part in parts.items() if "preview" not in name}
    seconds = {name: processor_seconds(part, repeats) for name, part in parts.items()}

    # Adam and what follows it, with gradients of zero.
    zeros = [torch.zeros_like(t) for t in variables.tensors()]
    times = []
    for _ in range(repeats + 1):
        began = time.process_time()
        descent.adam.step(zeros, descent.rate)
        variables.standardize()
        times.append(time.process_time() - began)
    seconds["Adam, standardized noise"] = statistics.median(times[1:])

    for name, value in seconds.items():
        click.echo(f"{name:32} {value:7.3f} s")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps(
            {"space": space, "preset": preset_name, "half": settings.half, "seconds": seconds},
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
