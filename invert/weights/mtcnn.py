"""MTCNN's three networks: from the state dictionaries of a package to our names.

K. Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", 2016, arXiv:1604.02878. What runs these tensors is :mod:`invert.images.face_detection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import PurePosixPath

import torch
from torch import Tensor

from invert.weights.state_dicts import read_state_dict

# Per network: its convolutions, the sides of their kernels, and its heads (face or not, box,
# landmarks).
LAYOUTS = {
    "pnet": (("conv1", "conv2", "conv3"), (3, 3, 3), ("conv4_1", "conv4_2")),
    "rnet": (("conv1", "conv2", "conv3", "dense4"), (3, 3, 2, 3), ("dense5_1", "dense5_2")),
    "onet": (
        ("conv1", "conv2", "conv3", "conv4", "dense5"),
        (3, 3, 3, 2, 3),
        ("dense6_1", "dense6_2", "dense6_3"),
    ),
}


def convert(members: Mapping[str, bytes]) -> dict[str, Tensor]:
    """`NET.conv{k}.weight` and `.bias`, `NET.slope{k}` for k from 0, `NET.head.weight` and `.bias`.

    Dense layers become convolutions, and the two outputs "no face" and "face" one: the logit of a
    face. Raises ModelFileError when a member is not the state dictionary of its network.
    """
    tensors: dict[str, Tensor] = {}
    for path, content in members.items():
        name = PurePosixPath(path).stem
        network = read_state_dict(path, content, "MTCNN", partial(_network, name))
        tensors |= {f"{name}.{key}": value for key, value in network.items()}
    return tensors


def _network(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    layers, sides, heads = LAYOUTS[name]
    tensors = {}
    for k, (layer, side) in enumerate(zip(layers, sides, strict=True)):
        weight = state[f"{layer}.weight"]
        if weight.ndim == 2:  # its inputs were flattened in the order width, height, channels
            weight = weight.unflatten(1, (side, side, -1)).permute(0, 3, 2, 1)
        if weight.shape[2:] != (side, side):
            raise ValueError(f"{layer}.weight is {list(weight.shape)}")
        slope = layer.replace("conv", "prelu").replace("dense", "prelu")
        tensors[f"conv{k}.weight"], tensors[f"conv{k}.bias"] = weight, state[f"{layer}.bias"]
        tensors[f"slope{k}"] = state[f"{slope}.weight"]
    face, *others = ((state[f"{head}.weight"].flatten(1), state[f"{head}.bias"]) for head in heads)
    # a softmax of two outputs is the sigmoid of their difference
    logit = (part[1:] - part[:1] for part in face)
    weight, bias = (torch.cat(parts) for parts in zip(tuple(logit), *others, strict=True))
    return tensors | {"head.weight": weight[:, :, None, None], "head.bias": bias}
