"""AlexNet and VGG16 up to their last convolution, cut where LPIPS compares activations.

A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014; K. Simonyan
and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.

Tensors are `conv{k}.weight` and `conv{k}.bias`, k counting from 0 in order of use. `pool(C)` makes
the layers that halve a map of C channels, so that the shift-tolerant variants differ in it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

VGG16_CONVOLUTIONS = (2, 2, 3, 3, 3)  # per stage

Tensors = Mapping[str, Tensor]
Pool = Callable[[int], Sequence[nn.Module]]


def alexnet_stages(
    tensors: Tensors, *, first: nn.Module | None = None, pool: Pool | None = None
) -> list[nn.Module]:
    """AlexNet's five stages, each ending in a ReLU. Raises KeyError when a tensor is missing.

    `first` stands in for the first convolution (11 px, stride 4), `pool` for the two pools (3 px,
    stride 2).
    """
    first = first or convolution(tensors, 0, stride=4, padding=2)
    pool = pool or (lambda channels: [nn.MaxPool2d(3, stride=2)])

    layers: list[list[nn.Module]] = [
        [first],
        [*pool(_channels(tensors, 0)), convolution(tensors, 1)],
        [*pool(_channels(tensors, 1)), convolution(tensors, 2)],
        [convolution(tensors, 3)],
        [convolution(tensors, 4)],
    ]
    return [nn.Sequential(*stage, nn.ReLU(inplace=True)) for stage in layers]


def vgg16_stages(tensors: Tensors, *, pool: Pool | None = None) -> list[nn.Module]:
    """VGG16's five stages, each ending in a ReLU. Raises KeyError when a tensor is missing.

    `pool` stands in for the four pools (2 px, stride 2).
    """
    pool = pool or (lambda channels: [nn.MaxPool2d(2, stride=2)])

    stages: list[nn.Module] = []
    index = 0
    for count in VGG16_CONVOLUTIONS:
        layers = [*pool(_channels(tensors, index - 1))] if index else []
        for _ in range(count):
            layers += [convolution(tensors, index), nn.ReLU(inplace=True)]
            index += 1
        stages.append(nn.Sequential(*layers))
    return stages


def convolution(
    tensors: Tensors, index: int, *, stride: int = 1, padding: int | None = None
) -> nn.Conv2d:
    """The convolution `conv{index}`, by default padded so that it keeps the size."""
    weight, bias = tensors[f"conv{index}.weight"], tensors[f"conv{index}.bias"]
    outputs, inputs, side, _ = weight.shape
    padding = side // 2 if padding is None else padding
    layer = nn.Conv2d(inputs, outputs, side, stride=stride, padding=padding)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _channels(tensors: Tensors, index: int) -> int:
    return tensors[f"conv{index}.weight"].shape[0]
