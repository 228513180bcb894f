"""LPIPS: from pickles of Flax parameters to our names.

R. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR
2018, arXiv:1801.03924. What runs these tensors is :mod:`invert.metrics.perceptual`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from invert.checkpoints import numpy_nodes
from invert.checkpoints.nodes import entries, quoted
from invert.checkpoints.pickle_machine import read_pickle
from invert.checkpoints.source import naming
from invert.errors import ModelFileError

BACKBONES = ("AlexNet_0", "VGG16_0")
CONVOLUTION = re.compile(r"Conv_(\d+)")
HEAD = re.compile(r"NetLinLayer_(\d+)")


def convert(members: Mapping[str, bytes]) -> dict[str, Tensor]:
    """`conv{k}.weight` and `conv{k}.bias`, k in order of use, and `head{depth}` [C]; all float32.

    Nothing that the pickle names is called. Raises ModelFileError when the only member is not a
    pickle of such parameters.
    """
    ((path, content),) = members.items()
    with naming(path):
        root = read_pickle(io.BytesIO(content), numpy_nodes.GLOBALS).root
        tensors: dict[str, Tensor] = {}
        for name, layers in entries(root, "the parameters").items():
            tensors |= _module(str(name), layers)
        return tensors


def _module(name: str, node: object) -> dict[str, Tensor]:
    """The tensors of a backbone, or of one head."""
    layers = entries(node, quoted(name))
    if match := HEAD.fullmatch(name):
        # [1, 1, C, 1]: a convolution of one pixel, without a bias
        return {f"head{match[1]}": _tensor(layers, "Conv_0", "kernel").flatten()}
    if name not in BACKBONES:
        raise ModelFileError(f"expected parameters of LPIPS, got {quoted(name)}; get it again")

    # [H, W, inputs, outputs] becomes [outputs, inputs, H, W].
    tensors = {}
    for layer in layers:
        match = CONVOLUTION.fullmatch(str(layer))
        if match is None:
            raise ModelFileError(f"expected convolutions, got {quoted(str(layer))}; get it again")
        weight = _tensor(layers, str(layer), "kernel").permute(3, 2, 0, 1).contiguous()
        tensors[f"conv{match[1]}.weight"] = weight
        tensors[f"conv{match[1]}.bias"] = _tensor(layers, str(layer), "bias")
    return tensors


def _tensor(layers: Mapping[object, object], layer: str, part: str) -> Tensor:
    what = f"{quoted(layer)} {part}"
    parts = entries(layers.get(layer), quoted(layer))
    tensor = torch.from_numpy(numpy_nodes.array(parts.get(part), what)).float()
    expected = 1 if part == "bias" else 4
    if tensor.ndim != expected:
        raise ModelFileError(f"{what}: expected {expected} axes, got {tensor.ndim}; get it again")
    return tensor
