"""A VGG16 of few channels with random weights, as the registered `lpips-vgg` in a cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from invert.metrics.backbones import vgg16_stages
from invert.metrics.vgg16_features import VGG16Features
from invert.weights import MODELS
from invert.weights.weights_file import write_weights

HEADS = (1, 3, 6, 9, 12)  # convolutions after which LPIPS compares


def small_vgg_tensors(channels: int = 8) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}
    inputs = 3
    for index in range(13):
        weight = torch.randn(channels, inputs, 3, 3, generator=random)
        tensors[f"conv{index}.weight"] = weight * (2 / (inputs * 9)) ** 0.5
        tensors[f"conv{index}.bias"] = torch.randn(channels, generator=random) / 4
        inputs = channels
    for depth in range(len(HEADS)):
        tensors[f"head{depth}"] = torch.rand(channels, generator=random)
    return tensors


def small_features(channels: int = 8) -> VGG16Features:
    return VGG16Features(vgg16_stages(small_vgg_tensors(channels)), sha256="0" * 64)


def put_small_vgg(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache is in the folder for the test, and its lpips-vgg is the small one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    path = folder / "invert" / "lpips-vgg.safetensors"
    path.parent.mkdir(parents=True)
    write_weights(path, MODELS["lpips-vgg"], small_vgg_tensors())
    return path
