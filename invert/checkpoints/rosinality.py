"""Generators of rosinality/stylegan2-pytorch, which are also the decoders of pSp, e4e and ReStyle.

Usually a `.pt` file with a dict: `g_ema` and, from the converter, `latent_avg`; training files also
hold the other networks, optimizers and `args`. Encoder projects keep the generator under `decoder.`
in `state_dict`. Converted to the canonical convention:

- layers are numbered there (`conv1`, `convs.{0, 1, ...}`), named by resolution here, and noise maps
  join their layer;
- leading axes of length 1 are dropped (convolution weights, constant, noise, RGB bias);
- blur kernels, which hold the gain 4 of upsampling, become the `resample_filter` of the config;
- `latent_avg` becomes `mapping.w_avg`; training files have none, and then it is absent here too.

Values are equal otherwise: linear layers have the same raw weights and a multiplier that only
`args` and pickled modules state (0.01 as a rule), the up-convolution has the same orientation, and
the 1/√fan_in that rosinality puts on every convolution is divided out by demodulation, except for
the 1e-8 under its root (relative effect below 1e-7), and is there in the canonical torgb. A network
converted from TensorFlow thus gives the same bytes through rosinality as directly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from torch import Tensor

from invert.checkpoints.checkpoint import (
    Checkpoint,
    first,
    float32_tensors,
    stylegan2_config,
    unsupported,
)
from invert.checkpoints.container import Container, holds_tensor
from invert.checkpoints.details import json_details
from invert.checkpoints.families import family_of_names
from invert.checkpoints.layout import ROSINALITY, Found
from invert.checkpoints.mapping_multiplier import mapping_multiplier
from invert.checkpoints.modules import Module
from invert.checkpoints.nodes import describe, quoted, settings
from invert.checkpoints.numpy_nodes import number
from invert.checkpoints.resample_filter import resample_taps
from invert.checkpoints.sizes import check_embedding
from invert.errors import ModelFileError

_LAYER = re.compile(r"(conv1|to_rgb1|convs\.[0-9]{1,2}|to_rgbs\.[0-9]{1,2})\.(.+)")
_MODULATED = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
}
_STYLED_CONV = {**_MODULATED, "noise.weight": "noise_strength", "activate.bias": "bias"}
_TO_RGB = {**_MODULATED, "bias": "bias"}
_SETTINGS = ("args", "opts", "config")  # where training and encoder projects keep theirs
_MULTIPLIER = ("lr_mlp", "lr_mul")


def read(container: Container, found: Found) -> Checkpoint:
    """The checkpoint of a generator with these names."""
    nodes, modules = found.content()
    weights = {name: container.tensor(node, quoted(name)) for name, node in nodes.items()}
    latent_avg = weights.pop("latent_avg", None)
    if latent_avg is None:
        latent_avg = _latent_avg(container, found)

    # Tensors.
    tensors, kernels = _convert(weights)
    check_embedding(tensors, same_width=True, first="style.1.weight")
    if latent_avg is not None:
        tensors |= float32_tensors({"mapping.w_avg": _mean_w(latent_avg)})

    # What the shapes do not tell.
    stated = _stated(found)
    assumed = {
        "conv_clamp": "none, as in rosinality's code (256 in networks that were trained in half "
        "precision by NVIDIA's)"
    }
    doubts: dict[str, str] = {}
    multiplier = mapping_multiplier(tensors, _multiplier(modules, stated), assumed, doubts)
    _check_modules(modules, tensors)

    return Checkpoint(
        architecture="stylegan2",
        format=ROSINALITY,
        config=stylegan2_config(
            mapping_lr_multiplier=multiplier, resample_filter=resample_taps(kernels)
        ),
        tensors={name: value.contiguous() for name, value in tensors.items()},
        details={"training_args": json_details(stated), "assumed": assumed},
        doubts=doubts,
    )


def _convert(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(weights by canonical name, resampling filters); ModelFileError for another network."""
    tensors: dict[str, Tensor] = {}
    kernels: dict[str, Tensor] = {}
    unknown = []

    for name, value in float32_tensors(weights).items():
        if name.endswith((".blur.kernel", ".upsample.kernel")):
            kernels[name] = value
        elif (canonical := _canonical_name(name)) is None:
            unknown.append(name)
        elif canonical in tensors:
            raise ModelFileError(
                f"{quoted(name)} and another tensor are both {canonical}; the file is damaged"
            )
        else:
            tensors[canonical] = _canonical_value(canonical, value)

    if unknown:
        if family := family_of_names(weights):
            raise unsupported(family)
        wavelets = any("iwt" in name or "dwt" in name for name in unknown)
        swagan = " (SWAGAN, which draws wavelets)" if wavelets else ""
        raise unsupported(f"a generator with {first(unknown)}{swagan}")
    return tensors, kernels


def _latent_avg(container: Container, found: Found) -> Tensor | None:
    """The mean w that stands beside the generator, in the nearest dict that has one."""
    nodes = (holder.get("latent_avg") for holder in found.place.around)
    node = next((node for node in nodes if node is not None), None)
    if node is not None and not holds_tensor(node):
        raise ModelFileError("latent_avg is not a tensor; the file is damaged")
    return None if node is None else container.tensor(node, "latent_avg")


def _stated(found: Found) -> dict[object, object] | None:
    """The settings that stand beside the generator."""
    for holder in found.place.around:
        for key in _SETTINGS:
            if stated := settings(holder.get(key)):
                return stated
    return None


def _multiplier(
    modules: Mapping[str, Module], stated: Mapping[object, object] | None
) -> float | None:
    """The mapping network's learning-rate multiplier, as its layers or the settings state it."""
    layers = [
        part.state for path, part in modules.items() if re.fullmatch(r"style\.[1-9][0-9]?", path)
    ]
    values = {
        number(holder[name], name)
        for holder in layers or [stated or {}]
        for name in _MULTIPLIER
        if holder.get(name) is not None
    }
    if len(values) > 1:
        raise unsupported("a generator whose mapping layers differ in lr_mul")
    return values.pop() if values else None


def _check_modules(modules: Mapping[str, Module], tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelFileError where a pickled module scales or demodulates in another way."""
    for path, part in modules.items():
        # What the canonical network does there.
        expected: dict[str, bool | float] = {}
        if path.endswith(".conv") and "demodulate" in part.state:
            expected["demodulate"] = not path.startswith("to_rgb")
        if path.endswith(".modulation"):
            affine = tensors.get(_canonical_name(f"{path}.weight") or "")
            if affine is not None and affine.ndim == 2 and affine.shape[1]:
                expected["scale"] = 1 / math.sqrt(affine.shape[1])

        # What the file says.
        for name, value in expected.items():
            stated = part.state.get(name, value)
            scale = isinstance(value, float)
            close = scale and math.isclose(number(stated, name), value, rel_tol=1e-5)
            if not close and stated != value:
                raise unsupported(
                    f"a generator with {name} {describe(stated)} instead of {value} "
                    f"in {quoted(path)}"
                )


def _canonical_name(name: str) -> str | None:
    """The name of the tensor here; None where the network has no such tensor."""
    if name == "input.input":
        return "synthesis.b4.const"

    # Mapping network; style.0 is the normalization of z.
    if match := re.fullmatch(r"style\.([1-9][0-9]?)\.(weight|bias)", name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}"

    # Noise maps: 0 at 4×4, then two per resolution.
    if match := re.fullmatch(r"noises\.noise_([0-9]{1,2})", name):
        k = int(match[1])
        return f"synthesis.b{2 ** ((k + 5) // 2)}.conv{1 - k % 2}.noise_const"

    # Layers.
    match = _LAYER.fullmatch(name)
    if match is None:
        return None
    part = (_TO_RGB if match[1].startswith("to_rgb") else _STYLED_CONV).get(match[2])
    return None if part is None else f"synthesis.{_layer(match[1])}.{part}"


def _layer(name: str) -> str:
    """The canonical layer of conv1 or to_rgb1 (4×4), convs.{2n} or convs.{2n+1} or to_rgbs.{n}."""
    if name in ("conv1", "to_rgb1"):
        return "b4.conv1" if name == "conv1" else "b4.torgb"
    kind, index = name.split(".")
    if kind == "convs":
        return f"b{8 << int(index) // 2}.conv{int(index) % 2}"
    return f"b{8 << int(index)}.torgb"


def _canonical_value(name: str, value: Tensor) -> Tensor:
    """`value` without the axes of length 1 that canonical tensors lack."""
    if name.endswith(".noise_strength"):
        return value.reshape(()) if value.numel() == 1 else value
    if name.endswith("torgb.bias"):
        flat = value.ndim == 4 and value.shape[0] == value.shape[2] == value.shape[3] == 1
        return value.flatten() if flat else value
    if name.endswith(".noise_const"):
        return value[0, 0] if value.ndim == 4 and value.shape[:2] == (1, 1) else value
    if name.endswith((".const", "conv0.weight", "conv1.weight", "torgb.weight")):
        return value[0] if value.ndim >= 4 and value.shape[0] == 1 else value
    return value


def _mean_w(latent_avg: Tensor) -> Tensor:
    """w_avg [w_dim] from latent_avg, which encoder projects repeat per layer."""
    if latent_avg.ndim == 2 and bool((latent_avg == latent_avg[:1]).all()):
        return latent_avg[0]
    return latent_avg
