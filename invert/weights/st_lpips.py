"""Shift-tolerant LPIPS: from the original package's state dictionaries to our names.

A. Ghildyal and F. Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022, arXiv:2207.13686.
What runs these tensors is :mod:`invert.metrics.shift_tolerant`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from invert.weights.state_dicts import read_state_dict

# A backbone is a sequence of layers cut into slices; the second number is a layer's place in it.
CONVOLUTION = re.compile(r"net\.slice\d+\.(\d+)\.(weight|bias)")
HEAD = re.compile(r"lin(\d+)\.model\.1\.weight")
# Not weights but constants of the architecture: the blur's taps and LPIPS's scaling of the input.
CONSTANT = re.compile(r"net\.slice\d+\.\d+\.filt|scaling_layer\.(shift|scale)")


def convert(members: Mapping[str, bytes]) -> dict[str, torch.Tensor]:
    """`conv{k}.weight` and `conv{k}.bias`, k in order of use, and `head{depth}` [C]; all float32.

    Raises ModelFileError when the only member is not a state dictionary with the expected names.
    """
    ((path, content),) = members.items()
    return read_state_dict(path, content, "shift-tolerant LPIPS", _rename)


def _rename(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    places = sorted({int(match[1]) for name in state if (match := CONVOLUTION.fullmatch(name))})
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        if match := CONVOLUTION.fullmatch(name):
            tensors[f"conv{places.index(int(match[1]))}.{match[2]}"] = tensor
        elif match := HEAD.fullmatch(name):
            tensors[f"head{match[1]}"] = tensor.flatten()
        elif not CONSTANT.fullmatch(name):
            raise ValueError(f"unexpected tensor {name}")
    return tensors
