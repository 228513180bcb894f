"""EfficientNet-Lite0's ImageNet weights, from which the backbone of an encoder may start.

EfficientNet: M. Tan and Q. Le, arXiv:1905.11946; Lite0 is B0 with ReLU6 and without
squeeze-and-excitation.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from invert.weights.state_dicts import read_state_dict

CLASSIFIER = ("_fc.weight", "_fc.bias")


def convert(members: Mapping[str, bytes]) -> dict[str, torch.Tensor]:
    """Convolutions and batch norms under efficientnet-pytorch's names, float32; the classifier is
    left out.

    Raises ModelFileError when the only member is not such a state dictionary.
    """
    ((path, content),) = members.items()
    return read_state_dict(path, content, "EfficientNet-Lite0", _backbone)


def _backbone(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    kept = {
        k: v
        for k, v in state.items()
        if k not in CLASSIFIER and not k.endswith("num_batches_tracked")
    }
    if "_conv_stem.weight" not in kept:
        raise ValueError("no _conv_stem.weight")
    return kept
