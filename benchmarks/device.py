"""Speed, memory and parity of everything that a device computes, in under four minutes.

    python benchmarks/device.py                          # CUDA if it is there, else the CPU
    python benchmarks/device.py --json gpu.json --official ~/stylegan2-ada-pytorch

It measures, in this order, as far as the time goes:

* parity of a saved picture with the CPU's, in grey levels;
* a step of FNW5 at 1024 px: launch by launch, as a graph, compiled;
* a photograph from file to files, the first and the next one; batches of photographs;
* the encoder;
* synthesis of config-f StyleGAN2 (random weights) and of ffhq-mobile, forward and backward, at
  several precisions, memory layouts, and with kernels that cuDNN has timed;
* NVIDIA's networks and projector, where `--official` names a checkout of their code.

On a CPU sizes, batches and steps are smaller, and the table says so. Times are medians. Weights
are fetched before the clock starts. What fails or no longer fits in `--limit` is named at the end.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from official import Official, official_checkout
from stopwatch import Stopwatch
from synthesis_parts import at_precision, forward, forward_backward, random_stylegan2, variants
from torch import Tensor

from invert.commands.devices import pick_device
from invert.encoders.encoder_files import bundled_encoder, load_encoder
from invert.generator import Generator
from invert.hardware.allocator import keep_large_blocks
from invert.hardware.precision import fast_steps, full_precision
from invert.images.images import to_pil, to_tensor
from invert.latents.spaces import Space
from invert.loading import load_generator
from invert.metrics.perceptual import load_perceptual
from invert.networks.stylegan2 import StyleGAN2
from invert.projection.descent import Descent
from invert.projection.initialization import initial_latent
from invert.projection.objective import Objective
from invert.projection.outputs import OutputPaths
from invert.projection.project_file import (
    ProjectionJob,
    project_photographs,
    read_photograph,
    write_projection,
)
from invert.projection.projector import networks_for, project
from invert.projection.recorded import RecordedDescent, Recordings
from invert.projection.settings import ProjectionSettings, preset

PHOTOGRAPH = Path(__file__).parents[1] / "examples" / "portrait.png"
NETWORK, SPACE = "ffhq-mobile", Space.parse("FNW5")
SEED = 1000


def parity(watch: Stopwatch, generator: Generator) -> None:
    """The picture of one latent on the device and on the CPU."""
    latent = generator.sample(SEED, psi=0.7, space=SPACE)
    here = generator.render(latent)
    there = load_generator(NETWORK).render(latent.to("cpu"))

    difference = (to_tensor(to_pil(here)) - to_tensor(to_pil(there))).mul(127.5).round().abs()
    share = (difference > 0).float().mean().item()
    levels = difference.max().item()
    watch.add("parity", "largest difference to the CPU's picture", levels, "levels")
    watch.add("parity", "values that differ at all", share * 100, "%")
    watch.add("parity", "largest difference before rounding", largest(here, there), "")


def largest(a: Tensor, b: Tensor) -> float:
    """The largest difference of two tensors, wherever they lie."""
    return (a.cpu() - b.cpu()).abs().max().item()


# -- a step of a projection


def new_descent(
    generator: Generator, images: Tensor, settings: ProjectionSettings, init: str | None = None
) -> Descent:
    """A projection of images before its first step."""
    networks = networks_for(generator, settings, None, None)
    objective = Objective(generator, images, networks, SEED)
    points = [initial_latent(generator, image[None], SPACE, init)[1] for image in images]
    return Descent(objective, points, settings)


def step(watch: Stopwatch, generator: Generator, name: str) -> None:
    """A step of a projection of one picture, as often as there is time for."""
    settings = preset("fast", SPACE)
    picture = generator.render(generator.sample(SEED, psi=0.7))
    for what in ("launch by launch", "as a graph") if watch.gpu else ("launch by launch",):
        descent = new_descent(generator, picture, settings)
        runner = RecordedDescent(descent) if what == "as a graph" else descent
        time_steps(watch, f"step of {SPACE}, {name}, {what}", descent, runner)


def time_steps(
    watch: Stopwatch,
    what: str,
    descent: Descent,
    runner: Descent | RecordedDescent,
    begin: Callable[[], object] = int,
) -> None:
    """The median of many steps, of all kinds, after the first ones; `begin` is called before each.

    `int` does nothing.
    """
    inputs = descent.objective.inputs(descent.variables)
    block = next(inputs.blocks(60 if watch.gpu else 3))
    with fast_steps():
        seconds = watch.once(lambda: [(begin(), runner.step(each)) for each in block])
        watch.add("step", f"{what}, the first {len(block)}", seconds * 1e3 / len(block), "ms")
        steps = iter(block * 1000)
        watch.time("step", what, lambda: (begin(), runner.step(next(steps))))


def compiled_step(watch: Stopwatch, generator: Generator) -> None:
    """A step whose networks are compiled; launched by themselves, and in a graph."""
    settings = preset("fast", SPACE)
    picture = generator.render(generator.sample(SEED, psi=0.7))
    for mode, graphs in (("reduce-overhead", False), ("default", True)):
        descent = new_descent(generator, picture, settings)
        networks = descent.objective.networks
        network: Any = networks.generator.network
        modules: list[Any] = [d for d in (networks.whole, networks.crop) if d is not None]
        try:
            network.synthesize = torch.compile(network.synthesize, mode=mode)
            for module in modules:
                module.embed = torch.compile(module.embed, mode=mode)
            runner = RecordedDescent(descent) if graphs else descent
            what = f"compiled ({mode})" + (" and as a graph" if graphs else "")
            begin = torch.compiler.cudagraph_mark_step_begin
            time_steps(watch, f"step of {SPACE}, {NETWORK}, {what}", descent, runner, begin)
        finally:
            for module in (network, *modules):
                module.__dict__.pop("synthesize", None)
                module.__dict__.pop("embed", None)


# -- photographs


def photograph(watch: Stopwatch, generator: Generator) -> None:
    """A photograph from file to files: reading, all steps, companion, report and writing."""
    settings = short(watch, preset("fast", SPACE))
    job = ProjectionJob(SPACE, settings, seed=0)
    steps = f"{settings.steps} steps, companion {settings.companion_steps}"
    recordings = Recordings()

    def run(paths: OutputPaths) -> None:
        picture = read_photograph(generator, PHOTOGRAPH, job)
        [projected] = project_photographs(generator, [picture], job, recordings=recordings)
        write_projection(generator, picture, projected, paths, job)

    for what in ("the first photograph", "the next photograph"):
        with tempfile.TemporaryDirectory() as folder:
            paths = OutputPaths.in_folder(Path(folder), "portrait")
            seconds = watch.once(partial(run, paths))
        watch.add("photograph", f"{what}, file to files", seconds, "s", f"{steps} {watch.peak()}")


def batches(watch: Stopwatch, generator: Generator) -> None:
    """Photographs in batches, without files."""
    settings = short(watch, preset("fast", SPACE))
    recordings = Recordings()
    for count in (4, 16) if watch.gpu else (2,):
        pictures = generator.render(generator.sample(range(SEED, SEED + count), psi=0.7))
        run = partial(project, generator, pictures, SPACE, settings=settings)
        seconds = watch.once(partial(run, recordings=recordings)) / count
        note = f"{settings.steps} steps {watch.peak()}"
        watch.add("batches", f"a photograph of {count}", seconds, "s", note)


def short(watch: Stopwatch, settings: ProjectionSettings) -> ProjectionSettings:
    """The settings, with fewer steps on a CPU."""
    return settings if watch.gpu else settings.replace(steps=2, companion_steps=3)


# -- networks alone


def encoder(watch: Stopwatch, generator: Generator) -> None:
    """Images per second of the bundled encoder."""
    path = bundled_encoder(generator, SPACE.first)
    if path is None:
        raise LookupError(f"there is no bundled encoder of {NETWORK} for {SPACE}")
    network = load_encoder(path, generator)
    for count in (1, 8, 32) if watch.gpu else (1, 4):
        images = generator.render(generator.sample([SEED], psi=0.7)).expand(count, -1, -1, -1)
        images = images.contiguous()
        seconds = watch.time(
            "encoder",
            f"{count} images",
            lambda: network.encode(generator, images),  # noqa: B023
        )
        watch.add("encoder", f"{count} at a time", count / seconds, "images/s")


def synthesis(watch: Stopwatch, generator: Generator) -> None:
    """Forward, and forward and backward, of two networks under all precisions and layouts."""
    side, counts = (1024, (1, 8)) if watch.gpu else (256, (1,))
    config_f = random_stylegan2(side).to(watch.device)
    for name, network in ((f"config-f, {side} px", config_f), (NETWORK, generator.network)):
        for variant in variants(watch.gpu):
            with at_precision(network, variant) as changed:
                for count in counts:
                    for what, run in (
                        ("forward", forward(changed, count)),
                        ("forward and backward", forward_backward(changed, count)),
                    ):
                        watch.time("synthesis", f"{name}, {count}, {variant}, {what}", run)
            watch.free()


def official(watch: Stopwatch, path: Path) -> None:
    """NVIDIA's synthesis with the same weights, and their projector."""
    side = 1024 if watch.gpu else 256
    with official_checkout(path) as code:
        theirs = code.generator(side).to(watch.device)
        with full_precision():
            compare(watch, theirs)

        # Their networks; the float16 of the four highest resolutions is their default on GPUs.
        versions = {"float32": theirs}
        if watch.gpu:
            versions["float16 from 128 px on"] = code.generator(side, 4).to(watch.device)
        for what, network in versions.items():
            time_official(watch, network, f"config-f, {side} px, {{count}}, {what}")
        if code.projector is not None:
            official_projector(watch, code, theirs)


def compare(watch: Stopwatch, theirs: Any) -> None:
    """How far our images are from theirs with their weights."""
    ours = StyleGAN2({k: t.cpu() for k, t in theirs.state_dict().items()}).to(watch.device)
    ws = torch.randn(1, ours.num_ws, 512, generator=torch.Generator().manual_seed(SEED))
    ws = ws.to(watch.device)
    with torch.inference_mode():
        noise = [ours.noise_const(layer.index) for layer in ours.layers[:-1]]
        mine = ours.synthesize(ours.start(), None, list(ws.unbind(1)), [*noise, None])
        image = theirs.synthesis(ws, noise_mode="const")
    watch.add("official", "largest difference to ours, same weights", largest(mine, image), "")


def time_official(watch: Stopwatch, network: Any, what: str) -> None:
    """Their synthesis, as ours is timed."""
    for count in (1, 8) if watch.gpu else (1,):
        ws = torch.randn(count, network.num_ws, 512, device=watch.device, requires_grad=True)

        def backward() -> None:
            network.synthesis(ws, noise_mode="const").square().mean().backward()  # noqa: B023

        def only_forward() -> None:
            with torch.inference_mode():
                network.synthesis(ws, noise_mode="const")  # noqa: B023

        for kind, run in (("forward", only_forward), ("forward and backward", backward)):
            watch.time("official", f"{what.format(count=count)}, {kind}", run)


def official_projector(watch: Stopwatch, code: Official, generator: Any) -> None:
    """A step of their projector, by the difference of two runs; our VGG16 stands for theirs."""
    distance = load_perceptual("st-lpips-vgg", device=watch.device)
    side = generator.img_resolution
    target = torch.full((3, side, side), 128.0, device=watch.device)
    lengths = (5, 55) if watch.gpu else (1, 2)
    times = [
        watch.once(lambda: code.project(generator, target, steps, distance))  # noqa: B023
        for steps in (1, *lengths)
    ]
    seconds = (times[2] - times[1]) / (lengths[1] - lengths[0])
    watch.add("official", f"a step of their projector, {side} px", seconds * 1e3, "ms")


@click.command()
@click.option("--device", "name", default="auto", help="auto, cpu, cuda or cuda:N.")
@click.option("--seconds-per-part", default=0.4, help="Of each figure, at least one run.")
@click.option("--limit", default=230.0, help="Seconds in all; what begins later is left out.")
@click.option("--compile/--no-compile", "compiled", default=None, help="By default on a GPU.")
@click.option("--official", "checkout", type=click.Path(path_type=Path))
@click.option("--json", "path", type=click.Path(path_type=Path))
def main(
    name: str,
    seconds_per_part: float,
    limit: float,
    compiled: bool | None,
    checkout: Path | None,
    path: Path | None,
) -> None:
    keep_large_blocks()
    device = pick_device(name)
    generator = load_generator(NETWORK, device=device)
    for distance in ("st-lpips-alex", "st-lpips-vgg"):
        load_perceptual(distance)  # fetched
    generator.statistics()

    watch = Stopwatch(device, seconds_per_part, limit)
    gpu = watch.gpu
    watch.part("parity", lambda: parity(watch, generator), 5)
    watch.part("step", lambda: step(watch, generator, NETWORK), 10)
    watch.part("photograph", lambda: photograph(watch, generator), 30)
    watch.part("batches", lambda: batches(watch, generator), 40 if gpu else 20)
    watch.part("encoder", lambda: encoder(watch, generator), 5)
    watch.part("synthesis", lambda: synthesis(watch, generator), 20)
    if checkout is not None:
        watch.part("official", lambda: official(watch, checkout), 20)
    if compiled or (compiled is None and gpu):
        watch.part("compiled", lambda: compiled_step(watch, generator), 60)

    click.echo(json.dumps(watch.about()))
    for line in watch.left_out:
        click.echo(f"left out: {line}")
    if path is not None:
        path.write_text(json.dumps(watch.as_json(), indent=2))


if __name__ == "__main__":
    main()
