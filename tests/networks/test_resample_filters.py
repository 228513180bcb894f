"""Filters of any length resample as upfirdn2d of StyleGAN2 does."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from networks import small_checkpoint
from torch import Tensor

from invert.checkpoints import Checkpoint
from invert.generator import Generator
from invert.loading import generator_from_checkpoint
from invert.networks.stylegan2 import Blur


def upfirdn2d(x: Tensor, taps: Tensor, up: int, before: int, after: int) -> Tensor:
    """x [N, C, H, W] with up − 1 zeros after every value, padded or cropped, and convolved."""
    n, c, h, w = x.shape
    spread = torch.zeros(n, c, h * up, w * up, dtype=x.dtype)
    spread[:, :, ::up, ::up] = x
    padded = F.pad(spread, (before, after, before, after))
    kernel = torch.outer(taps, taps).flip(0, 1).expand(c, 1, -1, -1)
    return F.conv2d(padded, kernel, groups=c)


def generator(taps: list[float]) -> Generator:
    checkpoint = small_checkpoint(16)
    config = {**checkpoint.config, "resample_filter": taps}
    return generator_from_checkpoint(
        Checkpoint("stylegan2", "invert", config, checkpoint.tensors, {}), dtype=torch.float64
    )


FILTERS = [
    [1, 1],
    [1, 2, 1],
    [1, 3, 3, 1],
    [1, 2, 3],
    [1, 4, 6, 4, 1],
    [1, 2, 3, 4, 5],
    [1, 2, 4, 4, 2, 1],
    [1.0] * 7,
]


@pytest.mark.parametrize("taps", FILTERS, ids=str)
def test_filters_of_every_length_resample_like_the_original(taps: list[float]) -> None:
    g = torch.Generator().manual_seed(0)
    f = torch.tensor(taps, dtype=torch.float64)
    f, n = f / f.sum(), len(taps)

    # The RGB sum: upsample2d pads by (n + 1) // 2 and (n − 2) // 2, and has a gain of 4.
    synthesis = generator(taps).network
    rgb = torch.randn(1, 3, 4, 6, dtype=torch.float64, generator=g)
    x = torch.zeros(1, 32, 8, 12, dtype=torch.float64)
    style = torch.zeros(1, 32, dtype=torch.float64)
    # (to 1e-6, as the network keeps its taps in float32)
    added = synthesis.add_rgb(rgb, x, style, 1) - synthesis.add_rgb(None, x, style, 1)
    assert (added - upfirdn2d(rgb, f, 2, (n + 1) // 2, (n - 2) // 2) * 4).abs().max() < 1e-6

    # Features, after a transposed 3×3 convolution: the same, less what that has added.
    x = torch.randn(1, 2, 9, 13, dtype=torch.float64, generator=g)
    found = Blur(f, 2.0)(x)
    assert found.shape[2:] == (8, 12)
    assert (found - upfirdn2d(x, f, 1, (n + 1) // 2 - 1, (n - 2) // 2) * 4).abs().max() < 1e-12


@pytest.mark.parametrize("taps", FILTERS, ids=str)
def test_every_space_renders_with_any_filter(taps: list[float]) -> None:
    network = generator(taps)
    reference = network.render(network.sample(0))
    assert reference.shape[2:] == (16, 16)
    for space in ("NSW+", "FNW2", "FSW3", "FNW5", "FNW6"):
        assert (network.render(network.sample(0, space=space)) - reference).abs().max() < 1e-10
