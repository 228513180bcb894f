"""Generators of rosinality/stylegan2-pytorch; the decoders of pSp, e4e and ReStyle are the same network.

A `.pt` file with a dict: `g_ema` and, from the converter, `latent_avg`; training files also hold the other
networks, optimizers and `args`. Encoder projects keep the generator under `decoder.` in `state_dict`.
Converted to the canonical convention:

- layers are numbered there (`conv1`, `convs.{0, 1, ...}`), named by resolution here, and noise maps join
  their layer;
- leading axes of length 1 are dropped (convolution weights, constant, noise, RGB bias);
- blur kernels, which hold the gain 4 of upsampling, become the `resample_filter` of the config;
- `latent_avg` becomes `mapping.w_avg`; training files have none, and then it is absent here too.

Values are equal otherwise: linear layers have the same raw weights and the multiplier 0.01 (not stored, fixed
there), the up-convolution has the same orientation, and the 1/√fan_in that rosinality puts on every
convolution is divided out by demodulation, except for the 1e-8 under its root (relative effect below 1e-7),
and is there in the canonical torgb. A network converted from TensorFlow thus gives the same bytes through
rosinality as directly.
"""

from __future__ import annotations

import argparse
import re

from torch import Tensor

from invert.checkpoints.checkpoint import (
    Budget,
    Checkpoint,
    first,
    float32_tensors,
    stylegan2_config,
    unsupported,
)
from invert.checkpoints.details import json_details
from invert.checkpoints.nodes import quoted
from invert.checkpoints.resample_filter import resample_taps
from invert.checkpoints.safe_torch import load_tensors_from
from invert.checkpoints.source import Kind
from invert.errors import ModelFileError

FORMAT = "rosinality"

_LAYER = re.compile(r"(conv1|to_rgb1|convs\.[0-9]{1,2}|to_rgbs\.[0-9]{1,2})\.(.+)")
_MODULATED = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
}
_STYLED_CONV = {**_MODULATED, "noise.weight": "noise_strength", "activate.bias": "bias"}
_TO_RGB = {**_MODULATED, "bias": "bias"}


def read(data: bytes, kind: Kind) -> Checkpoint:
    """The averaged generator of a torch.save file."""
    root = load_tensors_from(data, kind, allow=(argparse.Namespace,))
    weights, latent_avg = _generator(root)
    tensors: dict[str, Tensor] = {}
    kernels: dict[str, Tensor] = {}
    unknown = []
    budget = Budget(len(data))
    for value in weights.values():
        budget.spend(value.nbytes)
    for name, value in float32_tensors(weights).items():
        if name.endswith((".blur.kernel", ".upsample.kernel")):
            kernels[name] = value
        elif (canonical := _canonical_name(name)) is None:
            unknown.append(name)
        elif canonical in tensors:
            raise ModelFileError(f"{quoted(name)} and another tensor are both {canonical}; the file is damaged")
        else:
            tensors[canonical] = _canonical_value(canonical, value)
    if unknown:
        raise unsupported(f"a generator with {first(unknown)}")
    if latent_avg is not None:
        tensors |= float32_tensors({"mapping.w_avg": _mean_w(latent_avg)})
    settings = root.get("args", root.get("opts")) if isinstance(root, dict) else None
    return Checkpoint(
        architecture="stylegan2",
        format=FORMAT,
        config=stylegan2_config(resample_filter=resample_taps(kernels)),
        tensors={name: value.contiguous() for name, value in tensors.items()},
        details={
            "container": kind.value,
            "training_args": json_details(vars(settings) if isinstance(settings, argparse.Namespace) else settings),
        },
    )


def _generator(root: object) -> tuple[dict[str, Tensor], Tensor | None]:
    """(state dict of the averaged generator, latent_avg or None)."""
    if not isinstance(root, dict):
        raise unsupported(f"a torch.save file of a {type(root).__name__} instead of a dict")
    if "g_ema" in root:
        weights = root["g_ema"]
    elif isinstance(state := root.get("state_dict"), dict):
        weights = {
            name.removeprefix("decoder."): value
            for name, value in state.items()
            if isinstance(name, str) and name.startswith("decoder.")
        }
    elif "input.input" in root:
        weights = root
    else:
        held = first(key for key in root if isinstance(key, str)) or "nothing of the kind"
        raise ModelFileError(f"g_ema, the averaged generator, is missing (found {held}); export a file with g_ema")
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    ):
        raise ModelFileError("the generator is not a dict of tensors; save its state_dict")
    if "input.input" not in weights:
        raise unsupported(f"a network with {first(weights) or 'no decoder'}")
    latent_avg = root.get("latent_avg")
    if latent_avg is not None and not isinstance(latent_avg, Tensor):
        raise ModelFileError("latent_avg is not a tensor; the file is damaged")
    return weights, latent_avg


def _canonical_name(name: str) -> str | None:
    if name == "input.input":
        return "synthesis.b4.const"
    if match := re.fullmatch(r"style\.([1-9][0-9]?)\.(weight|bias)", name):  # style.0 is the normalization of z
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}"
    if match := re.fullmatch(r"noises\.noise_([0-9]{1,2})", name):
        k = int(match[1])  # 0 at 4×4, then two per resolution
        return f"synthesis.b{2 ** ((k + 5) // 2)}.conv{1 - k % 2}.noise_const"
    match = _LAYER.fullmatch(name)
    if match is None:
        return None
    part = (_TO_RGB if match[1].startswith("to_rgb") else _STYLED_CONV).get(match[2])
    return None if part is None else f"synthesis.{_layer(match[1])}.{part}"


def _layer(name: str) -> str:
    """The canonical layer: conv1, to_rgb1 at 4×4; convs.{2n}, convs.{2n+1}, to_rgbs.{n} at 8·2^n."""
    if name in ("conv1", "to_rgb1"):
        return "b4.conv1" if name == "conv1" else "b4.torgb"
    kind, index = name.split(".")
    if kind == "convs":
        return f"b{8 << int(index) // 2}.conv{int(index) % 2}"
    return f"b{8 << int(index)}.torgb"


def _canonical_value(name: str, value: Tensor) -> Tensor:
    """`value` without the axes of length 1 that canonical tensors lack; the shape check names the rest."""
    if name.endswith(".noise_strength"):
        return value.reshape(()) if value.numel() == 1 else value
    if name.endswith("torgb.bias"):
        return value.flatten() if value.ndim == 4 and value.shape[0] == value.shape[2] == value.shape[3] == 1 else value
    if name.endswith(".noise_const"):
        return value[0, 0] if value.ndim == 4 and value.shape[:2] == (1, 1) else value
    if name.endswith((".const", "conv0.weight", "conv1.weight", "torgb.weight")):
        return value[0] if value.ndim >= 4 and value.shape[0] == 1 else value
    return value


def _mean_w(latent_avg: Tensor) -> Tensor:
    """w_avg [w_dim] from latent_avg, which encoder projects repeat for every layer, [num_ws, w_dim]."""
    if latent_avg.ndim == 2 and bool((latent_avg == latent_avg[:1]).all()):
        return latent_avg[0]
    return latent_avg
