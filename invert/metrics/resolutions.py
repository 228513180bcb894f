"""How much each resolution adds to the pictures of a network with RGB sums ([K] 4.1, fig. 8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from invert.arguments import check_seeds
from invert.errors import UsageError
from invert.generator import Generator, NoiseMode
from invert.hardware.precision import full_precision
from invert.latents.conversion import entry
from invert.latents.latent import Latent
from invert.metrics.generated import sampled
from invert.metrics.moments import Moments
from invert.metrics.picture_sets import batch_size
from invert.networks.network import Size


@dataclass(frozen=True)
class Addend:
    """What the torgb of one resolution adds.

    size   (height, width) of the addend in pixels
    std    standard deviation of all its values, over samples, pixels and channels
    share  `std` as a part of the sum of all resolutions
    """

    size: Size
    std: float
    share: float


def resolution_shares(
    generator: Generator,
    seeds: Sequence[int],
    *,
    psi: float = 1.0,
    label: int | None = None,
    noise: NoiseMode = "random",
    batch: int | None = None,
    callback: Callable[[int], None] | None = None,
) -> tuple[list[Addend], float]:
    """The addend of each resolution, coarse to fine, and the standard deviation of the pictures.

    Addends depend on each other, so their variances do not add up to that of the pictures. Raises
    :class:`UsageError` for a network that makes its picture in one piece.
    """
    if generator.network.layers[-1].rgb_cells is None:
        raise UsageError(
            "expected a network whose pictures are sums of RGB images of all resolutions, as "
            f"StyleGAN2's, got {generator.name or generator.network.architecture}: "
            f"{generator.network.architecture} makes them in one piece"
        )

    seeds = check_seeds(seeds)
    step = batch_size(generator.image_size, batch)
    values: dict[int, Moments] = {}  # by resolution; 0 is the picture
    sizes: dict[int, Size] = {}
    for start in range(0, len(seeds), step):
        part = seeds[start : start + step]
        latent = sampled(generator, part, psi=psi, label=label, noise=noise)
        with torch.inference_mode(), full_precision():
            addends, image = rgb_addends(generator, latent)
            for k, x in enumerate([image, *addends]):
                moments = Moments.of(x.permute(0, 2, 3, 1).flatten(0, 2))  # [N·H·W, 3]
                values[k] = values[k].merged(moments) if k in values else moments
                sizes[k] = (x.shape[2], x.shape[3])
        if callback is not None:
            callback(start + len(part))

    stds = {k: overall_std(moments) for k, moments in values.items()}
    total = sum(std for k, std in stds.items() if k)
    return [Addend(sizes[k], stds[k], stds[k] / total) for k in stds if k], stds[0]


def rgb_addends(generator: Generator, latent: Latent) -> tuple[list[Tensor], Tensor]:
    """What each torgb adds to the pictures of :func:`sampled` points, [N, 3, h, w] coarse to fine,
    and the pictures.
    """
    network, noise = generator.network, latent.noise
    assert noise is not None, "a point of `sampled` has noise maps"
    first, x, rgb, styles = entry(network, latent)

    # As `SynthesisNetwork.run`, with each addend made from an empty sum as well.
    x = x.contiguous(memory_format=torch.channels_last)
    addends = []
    for k, i in enumerate(range(first, network.num_ws)):
        x = network.conv(i)(x, styles[k], noise[k])
        if (addend := network.rgb_after(i, x, None, styles[k + 1])) is not None:
            addends.append(addend)
        rgb = network.rgb_after(i, x, rgb, styles[k + 1])
    return [*addends, network.finish(x, None, styles[-1])], network.finish(x, rgb, styles[-1])


def overall_std(moments: Moments) -> float:
    """The standard deviation of all values of [n, channels] from the moments of the channels."""
    within = moments.scatter.trace() / (moments.count * len(moments.mean))
    between = moments.mean.var(correction=0)
    return (within + between).sqrt().item()
