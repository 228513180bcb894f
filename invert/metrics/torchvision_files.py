"""LPIPS on a backbone file that the user has, torchvision's, with the heads of package lpips."""

from __future__ import annotations

import importlib.util
import itertools
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from invert.checkpoints.safe_torch import load_tensors
from invert.errors import ModelFileError, ModelUnavailableError
from invert.files.regular_files import is_missing
from invert.metrics.backbones import alexnet_stages, vgg16_stages

# torchvision's files of weights IMAGENET1K_V1
FILES = {
    "lpips-alex": "alexnet-owt-7be5be79.pth",
    "lpips-vgg": "vgg16-397923af.pth",
    "lpips-squeeze": "squeezenet1_1-b8a52dc0.pth",
}
# the layers after which LPIPS compares SqueezeNet's activations
SQUEEZENET_CUTS = (2, 5, 8, 10, 11, 12, 13)

# the convolutions' shapes [outputs, inputs, height, width], in order of use
ALEXNET_SHAPES = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))
VGG16_WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGG16_SHAPES = tuple((out, into, 3) for into, out in itertools.pairwise(VGG16_WIDTHS))

PREFIX = "features."  # the classifier's layers, most of the weights, are left out
CONVOLUTION = re.compile(r"(\d+)\.(weight|bias)")


def torchvision_parts(name: str, path: Path | None) -> tuple[list[nn.Module], list[Tensor]]:
    """Stages and heads of "lpips-alex", "-vgg" or "-squeeze" on a backbone of torchvision's.

    `path` is None for the file in torch's cache, which is never downloaded. Raises
    ModelUnavailableError when the file or the package lpips is not there, and ModelFileError when
    the file is not what it should be.
    """
    file_name = FILES[name]
    path = path or Path(torch.hub.get_dir()) / "checkpoints" / file_name
    if is_missing(path):
        raise ModelUnavailableError(
            f"{path}: no such file; {name} needs torchvision's {file_name}, which is not "
            "downloaded for you: put it there, give its path as lpips_weights=, "
            "or use lpips-alex"
        )

    state = {
        key.removeprefix(PREFIX): value
        for key, value in _load_state(path).items()
        if key.startswith(PREFIX)
    }
    try:
        stages = _stages(name, state)
    except (RuntimeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: expected torchvision's {file_name}, got other weights; "
            "give its path as lpips_weights="
        ) from error
    return stages, _heads(name, len(stages))


def _stages(name: str, state: Mapping[str, Tensor]) -> list[nn.Module]:
    if name == "lpips-alex":
        return alexnet_stages(_in_order_of_use(state, ALEXNET_SHAPES))
    if name == "lpips-vgg":
        return vgg16_stages(_in_order_of_use(state, VGG16_SHAPES))
    return _squeezenet_stages(state)


def _in_order_of_use(
    state: Mapping[str, Tensor], shapes: tuple[tuple[int, int, int], ...]
) -> dict[str, Tensor]:
    """torchvision's numbers of layers, which count ReLUs and pools too, as numbers of
    convolutions. Raises ValueError for weights of other shapes.
    """
    matches = {key: CONVOLUTION.fullmatch(key) for key in state}
    places = sorted({int(match[1]) for match in matches.values() if match})
    tensors = {
        f"conv{places.index(int(match[1]))}.{match[2]}": state[key]
        for key, match in matches.items()
        if match
    }

    expected: dict[str, tuple[int, ...]] = {}
    for k, (outputs, inputs, side) in enumerate(shapes):
        expected[f"conv{k}.weight"] = (outputs, inputs, side, side)
        expected[f"conv{k}.bias"] = (outputs,)
    if {key: tuple(tensor.shape) for key, tensor in tensors.items()} != expected:
        raise ValueError("other names or shapes")
    return tensors


def _squeezenet_stages(state: Mapping[str, Tensor]) -> list[nn.Module]:
    import torchvision  # two seconds, which nothing else needs

    with torch.device("meta"):
        features = torchvision.models.squeezenet1_1(weights=None).features
    features.load_state_dict(state, assign=True)
    starts = (0, *SQUEEZENET_CUTS)
    return [features[a:b] for a, b in zip(starts, SQUEEZENET_CUTS, strict=False)]


def _heads(name: str, depths: int) -> list[Tensor]:
    # Found, not imported: the package would import plotting and notebook libraries for its trainer.
    package = importlib.util.find_spec("lpips")
    if package is None or package.origin is None:
        raise ModelUnavailableError(
            f"{name} needs the package lpips for its heads: pip install lpips"
        )
    state = _load_state(
        Path(package.origin).parent / "weights" / "v0.1" / f"{name.removeprefix('lpips-')}.pth"
    )
    return [state[f"lin{depth}.model.1.weight"].flatten() for depth in range(depths)]


def _load_state(path: Path) -> Mapping[str, Tensor]:
    try:
        state = load_tensors(path)
    except ModelFileError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ModelFileError(
            f"{path}: not a readable weights file ({reason}); get it again"
        ) from error
    if not isinstance(state, Mapping):
        raise ModelFileError(f"{path}: expected a state dictionary, got {type(state).__name__}")
    return state
