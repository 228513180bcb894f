"""Speed and memory of synthesis: 1024 and 256 px StyleGAN2, spatial demodulation, the allocator.

    python benchmarks/synthesis.py [--repeats 5] [--json FILE]

Times are medians; quote the ratios. Weights are random: speed does not depend on them. Allocator
settings cannot be undone in a process, so each part runs in one of its own.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from invert.hardware.allocator import keep_large_blocks
from invert.networks.initialize import untrained_stylegan2
from invert.networks.stylegan2 import StyleGAN2, demodulate


def seconds(run: Callable[[], Any], repeats: int) -> float:
    """Median seconds of `run`, after one run that is not counted."""
    run()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def peak_mib() -> float:
    """Highest resident size of this process so far."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20


def forward_backward(resolution: int) -> Callable[[], None]:
    """One image and the gradients of all its styles and noise maps."""
    network = (
        StyleGAN2(untrained_stylegan2(resolution, noise_strength=0.1)).eval().requires_grad_(False)
    )
    styles = [torch.randn(1, 512).requires_grad_() for _ in network.layers]
    noise = [
        network.noise_const(layer.index).clone().requires_grad_() for layer in network.layers[:-1]
    ]

    def run() -> None:
        image = network.synthesize(network.start(), None, styles, [*noise, None])
        image.square().mean().backward()

    return run


def demodulate_by_definition(weight: Tensor, style: Tensor) -> Tensor:
    """[S] fig. A.1 without its slicing: builds [1, O, I, k, k, H, W]."""
    product = weight[None, ..., None, None] * style[:, None, :, None, None]
    return (product.square().sum([2, 3, 4]) + 1e-8).rsqrt()


def demodulation(channels: int, side: int, repeats: int) -> dict[str, float]:
    """Closed form against the definition in slices of rows, as in [S]; that they agree is checked
    first.
    """
    weight, style = torch.randn(channels, channels, 3, 3), torch.rand(1, channels, side, side)
    square = weight.square().sum([2, 3])[:, :, None, None]

    def definition() -> Tensor:
        return torch.cat(
            [demodulate_by_definition(weight, row) for row in style.split(1, dim=2)], 2
        )

    difference = (definition() - demodulate(style, square)).abs().max().item()
    assert difference < 1e-5, difference
    slow, fast = seconds(definition, 1), seconds(lambda: demodulate(style, square), repeats)
    return {"definition_s": slow, "closed_form_s": fast, "ratio": slow / fast}


def in_own_process(part: str, repeats: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, "--repeats", str(repeats)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


PARTS: dict[str, Callable[[int], dict[str, float]]] = {}


def part(function: Callable[[int], dict[str, float]]) -> Callable[[int], dict[str, float]]:
    PARTS[function.__name__] = function
    return function


def timed(resolution: int, repeats: int) -> dict[str, float]:
    return {
        "forward_backward_s": seconds(forward_backward(resolution), repeats),
        "peak_mib": peak_mib(),
    }


@part
def stylegan2_1024(repeats: int) -> dict[str, float]:
    keep_large_blocks()
    return timed(1024, repeats)


@part
def stylegan2_1024_default_allocator(repeats: int) -> dict[str, float]:
    return timed(1024, repeats)


@part
def stylegan2_256(repeats: int) -> dict[str, float]:
    keep_large_blocks()
    return timed(256, repeats)


@part
def stylegan2_256_default_allocator(repeats: int) -> dict[str, float]:
    return timed(256, repeats)


@part
def demodulation_128_32(repeats: int) -> dict[str, float]:
    keep_large_blocks()
    return demodulation(128, 32, repeats)


@part
def demodulation_512_16(repeats: int) -> dict[str, float]:
    keep_large_blocks()
    return demodulation(512, 16, repeats)


@part
def closed_form_memory_512_64(repeats: int) -> dict[str, float]:
    """Memory of the closed form and its backward pass at 512 channels, 64×64, beyond its inputs."""
    square, style = torch.rand(512, 512, 1, 1), torch.rand(1, 512, 64, 64, requires_grad=True)
    before = peak_mib()
    demodulate(style, square).sum().backward()
    return {
        "grew_mib": peak_mib() - before,
        "definition_would_need_mib": 512 * 512 * 9 * 64 * 64 * 4 / 2**20,
    }


@click.command()
@click.option("--repeats", default=5)
@click.option(
    "--part", "only", type=click.Choice(sorted(PARTS)), help="Run one part in this process."
)
@click.option("--json", "path", type=click.Path(path_type=Path))
def main(repeats: int, only: str | None, path: Path | None) -> None:
    if only:
        click.echo(json.dumps(PARTS[only](repeats)))
        return
    results = {name: in_own_process(name, repeats) for name in PARTS}

    for size in (1024, 256):
        on, off = results[f"stylegan2_{size}"], results[f"stylegan2_{size}_default_allocator"]
        on["allocator_ratio"] = off["forward_backward_s"] / on["forward_backward_s"]

    for name, values in results.items():
        click.echo(f"{name:34} " + "  ".join(f"{k} {v:.4g}" for k, v in values.items()))

    if path:
        path.write_text(
            json.dumps(
                {"torch": torch.__version__, "threads": torch.get_num_threads(), **results},
                indent=2,
            )
        )


if __name__ == "__main__":
    main()
