"""What `benchmarks/device.py` times of a network: passes, precisions, layouts in memory."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from invert.hardware.precision import fast_steps, full_precision
from invert.hardware.processor import lacks_bfloat16
from invert.networks.initialize import untrained_stylegan2
from invert.networks.network import SynthesisNetwork
from invert.networks.stylegan2 import StyleGAN2


@dataclass(frozen=True)
class Variant:
    """How a network computes.

    precision      "float32", "TF32" in products and convolutions, or "bfloat16"
    channels_last  the layout that the networks have; else channels first
    tuned          kernels that cuDNN has timed
    """

    precision: str
    channels_last: bool = True
    tuned: bool = False

    def __str__(self) -> str:
        rest = ["" if self.channels_last else "channels first", "timed kernels" * self.tuned]
        return ", ".join([self.precision, *filter(None, rest)])


def variants(gpu: bool) -> list[Variant]:
    """Those that make sense on a device."""
    if not gpu:
        plain = [Variant("float32"), Variant("float32", channels_last=False)]
        return plain if lacks_bfloat16() else [*plain, Variant("bfloat16")]
    layouts = [Variant(p, c) for p in ("TF32", "bfloat16") for c in (True, False)]
    return [Variant("float32"), *layouts, Variant("TF32", tuned=True)]


def random_stylegan2(side: int) -> SynthesisNetwork:
    """A config-f StyleGAN2 with random weights; speed does not depend on them."""
    return StyleGAN2(untrained_stylegan2(side, noise_strength=0.1)).eval().requires_grad_(False)


@contextmanager
def at_precision(network: SynthesisNetwork, variant: Variant) -> Iterator[SynthesisNetwork]:
    """A network that computes in that way, within the block."""
    changed = network
    if variant.precision == "bfloat16" or not variant.channels_last:
        changed = copy.deepcopy(network)
    if variant.precision == "bfloat16":
        changed = changed.to(torch.bfloat16)
    if not variant.channels_last:
        set_channels_first(changed)

    rounding = variant.precision == "TF32"
    with (
        full_precision(variant.precision == "float32"),
        fast_steps(rounding=rounding, tune=variant.tuned),
    ):
        yield changed


def set_channels_first(network: SynthesisNetwork) -> None:
    """Weights and activations of a network one channel after the other."""
    for module in network.modules():
        for name, t in module.named_buffers(recurse=False):
            if t.ndim == 4:
                setattr(module, name, t.contiguous())

    # As `run`, without its change of layout.
    def run(
        self: SynthesisNetwork,
        x: Tensor,
        rgb: Tensor | None,
        styles: Sequence[Tensor],
        noise: Sequence[Tensor | None],
        first: int,
        stop: int,
    ) -> tuple[Tensor, Tensor | None]:
        for i in range(first, stop):
            x = self.convs[i - 1](x, styles[i - first], noise[i - first])
            rgb = self.rgb_after(i, x, rgb, styles[i + 1 - first])
        return x, rgb

    network.run = types.MethodType(run, network)  # type: ignore[method-assign]


def point(
    network: SynthesisNetwork, count: int, grad: bool
) -> tuple[Tensor, list[Tensor], list[Tensor | None]]:
    """F_1, styles and noise maps of `count` points; gradients go to styles and noise."""
    x = network.start().expand(count, -1, -1, -1).contiguous()
    width = network.mapping.w_dim
    styles = [torch.randn(count, width).to(x).requires_grad_(grad) for _ in network.layers]
    noise: list[Tensor | None] = [
        network.noise_const(layer.index).repeat(count, 1, 1, 1).requires_grad_(grad)
        for layer in network.layers[:-1]
    ]
    return x, styles, [*noise, None]


def forward(network: SynthesisNetwork, count: int) -> Callable[[], None]:
    """`count` images."""
    x, styles, noise = point(network, count, grad=False)

    def run() -> None:
        with torch.inference_mode():
            network.synthesize(x, None, styles, noise)

    return run


def forward_backward(network: SynthesisNetwork, count: int) -> Callable[[], None]:
    """`count` images, and the gradients of their styles and noise maps."""
    x, styles, noise = point(network, count, grad=True)

    def run() -> None:
        image = network.synthesize(x, None, styles, noise)
        image.float().square().mean().backward()

    return run
