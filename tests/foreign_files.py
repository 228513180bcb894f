"""Generators as other projects save them: module trees and state dicts of NVIDIA's and of
rosinality's code.
"""

from __future__ import annotations

import collections
import math
import pickle
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from pickle_writer import FIXTURES
from torch import Tensor, nn

from invert.checkpoints import read_checkpoint

State = dict[str, Tensor]
CLASSES = {  # what the files name; none of these modules exists here
    "training.networks": (
        "Generator",
        "MappingNetwork",
        "SynthesisNetwork",
        "SynthesisBlock",
        "SynthesisLayer",
    ),
    "model": ("Generator", "EqualLinear", "StyledConv", "ToRGB"),
}


def canonical() -> State:
    """The network that every file of the tests holds: ada_tiny.pkl, read the plain way."""
    return {name: t.clone() for name, t in _plain().items()}


@cache
def _plain() -> Mapping[str, Tensor]:
    return read_checkpoint(FIXTURES / "ada_tiny.pkl").tensors


def ada_state(tensors: Mapping[str, Tensor]) -> State:
    """A state dict as StyleGAN2-ADA-PyTorch names it: our names, and the resampling filters."""
    state = dict(tensors)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    for name in tensors:
        if name.endswith((".torgb.bias", ".noise_strength")):
            place = name.rpartition(".torgb.")[0] or name.rpartition(".")[0]
            state[f"{place}.resample_filter"] = torch.outer(taps, taps)
    return state


def rosinality_state(tensors: Mapping[str, Tensor]) -> State:
    """A state dict with the given canonical weights, named and shaped the way rosinality does."""
    state: State = {}
    for name, t in tensors.items():
        part, *path, last = name.split(".")
        if part == "mapping" and path:
            state[f"style.{int(path[0][2:]) + 1}.{last}"] = t
        elif name == "synthesis.b4.const":
            state["input.input"] = t[None]
        elif part == "synthesis":
            n, layer = int(np.log2(int(path[0][1:]))) - 3, path[1]
            block = {
                "conv0": f"convs.{2 * n}",
                "conv1": f"convs.{2 * n + 1}" if n >= 0 else "conv1",
                "torgb": f"to_rgbs.{n}" if n >= 0 else "to_rgb1",
            }[layer]
            if last == "noise_const":
                state[f"noises.noise_{2 * n + (1 if layer == 'conv0' else 2)}"] = t[None, None]
            elif path[2:] == ["affine"]:
                state[f"{block}.conv.modulation.{last}"] = t
            elif last == "noise_strength":
                state[f"{block}.noise.weight"] = t.reshape(1)
            elif last == "weight":
                state[f"{block}.conv.weight"] = t[None]
            elif layer == "torgb":
                state[f"{block}.bias"] = t.reshape(1, 3, 1, 1)
            else:
                state[f"{block}.activate.bias"] = t
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    for n in range(3):
        state[f"convs.{2 * n}.conv.blur.kernel"] = torch.outer(kernel, kernel)
        state[f"to_rgbs.{n}.upsample.kernel"] = torch.outer(kernel, kernel)
    return state


# -- module trees


def tree(
    state: Mapping[str, Tensor], attributes: Callable[[str, nn.Module], dict], class_of: Callable
) -> nn.Module:
    """A module with these tensors at their dotted names; `attributes(path, module)` are set on
    every module.
    """
    root = class_of("")()
    for name, tensor in state.items():
        *path, last = name.split(".")
        part = root
        for depth, step in enumerate(path):
            if step not in part._modules:
                part.add_module(step, class_of(".".join(path[: depth + 1]))())
            part = part._modules[step]
        if last in ("w_avg", "noise_const", "resample_filter", "kernel") or last.startswith(
            "noise_"
        ):
            part.register_buffer(
                last, tensor
            ) if last != "noise_strength" else part.register_parameter(last, nn.Parameter(tensor))
        else:
            part.register_parameter(last, nn.Parameter(tensor))
    for path, part in root.named_modules():
        part.__dict__.update(attributes(path, part))
    return root


def ada_attributes(path: str, part: nn.Module) -> dict[str, Any]:
    """The attributes that StyleGAN2-ADA's code computes with, of a module of that generator."""
    if path in ("", "mapping", "synthesis"):
        sizes = {
            "z_dim": 16,
            "c_dim": 0,
            "w_dim": 16,
            "img_resolution": 32,
            "img_channels": 3,
            "num_ws": 8,
        }
        return sizes | ({"_init_kwargs": dict(sizes), "_init_args": ()} if not path else {})
    if re.fullmatch(r"synthesis\.b\d+", path):
        return {"architecture": "skip", "resolution": int(path[11:])}
    weight = part._parameters["weight"]
    fan_in = weight[0].numel()
    if path.startswith("mapping.fc"):
        return {"activation": "lrelu", "weight_gain": 0.01 / math.sqrt(fan_in), "bias_gain": 0.01}
    if path.endswith(".affine"):
        return {"activation": "linear", "weight_gain": 1 / math.sqrt(fan_in), "bias_gain": 1}
    if path.endswith(".torgb"):
        return {"weight_gain": 1 / math.sqrt(fan_in), "conv_clamp": None}
    up = 2 if path.endswith("conv0") else 1
    return {
        "activation": "lrelu",
        "up": up,
        "use_noise": True,
        "act_gain": 2**0.5,
        "conv_clamp": None,
    }


def ada_module(tensors: Mapping[str, Tensor]) -> nn.Module:
    """The whole generator as StyleGAN2-ADA's classes hold it, pickled by reference to them."""
    return tree(
        ada_state(tensors), ada_attributes, lambda path: class_("training.networks", "Generator")
    )


def rosinality_module(tensors: Mapping[str, Tensor], lr_mul: float = 0.01) -> nn.Module:
    """The whole generator as rosinality's classes hold it."""

    def attributes(path: str, part: nn.Module) -> dict[str, Any]:
        if re.fullmatch(r"style\.\d+", path):
            width = part._parameters["weight"].shape[1]
            return {
                "lr_mul": lr_mul,
                "scale": lr_mul / math.sqrt(width),
                "activation": "fused_lrelu",
            }
        return {"size": 32, "style_dim": 16} if not path else {}

    return tree(rosinality_state(tensors), attributes, lambda path: class_("model", "Generator"))


def class_(module: str, name: str) -> type[nn.Module]:
    """A class of that name, in a module of that name while `foreign_modules` is on."""
    return getattr(sys.modules[module], name)


class Persistent:
    """A module as `torch_utils.persistence` pickles it: its class's name and source, and its
    `__dict__`.
    """

    def __init__(self, part: nn.Module) -> None:
        hidden = {"_parameters": part._parameters, "_buffers": part._buffers}
        children = {
            name: Persistent(child) for name, child in part._modules.items() if child is not None
        }
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise SystemExit('executed')",
            "class_name": type(part).__name__,
            "state": {**part.__dict__, **hidden, "_modules": collections.OrderedDict(children)},
        }

    def __reduce__(self) -> tuple:
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


@contextmanager
def foreign_modules() -> Iterator[None]:
    """Inside, the modules of other projects seem to exist, so that their objects can be pickled."""
    before = dict(sys.modules)
    for name in ("training", "torch_utils", "torch_utils.persistence", *CLASSES):
        sys.modules[name] = types.ModuleType(name)
    for name, classes in CLASSES.items():
        for each in classes:
            setattr(sys.modules[name], each, type(each, (nn.Module,), {"__module__": name}))

    def _reconstruct_persistent_obj(meta: dict) -> object:
        raise AssertionError("called")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj = _reconstruct_persistent_obj
    try:
        yield
    finally:
        for name in set(sys.modules) - set(before):
            if name.split(".")[0] in ("training", "torch_utils", "model"):
                del sys.modules[name]


# -- containers


def write(path: Path, value: object, container: str) -> Path:
    """`path`, now a file of that container; safetensors takes state dicts only."""
    if container == "bare pickle":
        path.write_bytes(pickle.dumps(value, 4))
    elif container == "bare pickle, protocol 2":
        path.write_bytes(pickle.dumps(value, 2))
    elif container == "torch zip":
        torch.save(value, path)
    elif container == "old torch stream":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of classes without source code
            torch.save(value, path, _use_new_zipfile_serialization=False)
    else:
        safetensors.torch.save_file({k: v.clone() for k, v in value.items()}, path)
    return path
