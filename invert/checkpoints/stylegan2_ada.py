"""Generators with the names of StyleGAN2-ADA-PyTorch: pickled modules and state dicts.

The StyleGAN2 of the StyleGAN3 code is one of them.

Names and values are the canonical ones, so nothing is converted: weights stay without their
run-time gains, and `resample_filter` buffers become one entry of the config. The attributes of a
pickled module say the rest, and are compared with what the canonical network takes for granted. A
state dict says nothing of it: what is assumed then stands in the details.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping

from torch import Tensor

from invert.checkpoints import numpy_nodes
from invert.checkpoints.checkpoint import (
    Checkpoint,
    float32_tensors,
    stylegan2_config,
    unsupported,
)
from invert.checkpoints.container import Container
from invert.checkpoints.details import json_details
from invert.checkpoints.families import family_of_names
from invert.checkpoints.layout import ADA, Found
from invert.checkpoints.mapping_multiplier import mapping_multiplier
from invert.checkpoints.modules import PERSISTENT, Module
from invert.checkpoints.nodes import describe, quoted, settings
from invert.checkpoints.numpy_nodes import number
from invert.checkpoints.resample_filter import resample_taps
from invert.checkpoints.sizes import check_embedding, check_sizes
from invert.checkpoints.torch_storage import LOAD_FROM_BYTES, REBUILD_PARAMETER, REBUILD_TENSOR
from invert.networks.stylegan2 import DEFAULT_LR_MULTIPLIER

GLOBALS = frozenset(
    {
        PERSISTENT,
        REBUILD_PARAMETER,
        REBUILD_TENSOR,
        LOAD_FROM_BYTES,
        "dnnlib.util.EasyDict",
        "collections.OrderedDict",
        "builtins.set",
        "__builtin__.set",
        *numpy_nodes.GLOBALS,
    }
)


def read(container: Container, found: Found) -> Checkpoint:
    """The checkpoint of a generator with these names."""
    nodes, modules = found.content()
    if modules:
        _check_settings(modules, nodes)
    tensors, kernels = _tensors(container, nodes)

    # What the shapes do not tell: modules state it, state dicts do not.
    assumed: dict[str, str] = {}
    doubts: dict[str, str] = {}
    if modules:
        _check_gains(modules, tensors)
        _check_sizes(modules, tensors)
        conv_clamp = _common(modules, "conv_clamp", _CLAMPED)
        stated = _common(modules, "bias_gain", _FC)
    else:
        check_embedding(tensors, same_width=False, first="mapping.fc0.weight")
        conv_clamp = stated = None
        assumed["conv_clamp"] = (
            "none; a state dict does not say (256 in networks that were trained in half precision)"
        )
    multiplier = mapping_multiplier(tensors, stated, assumed, doubts)

    return Checkpoint(
        architecture="stylegan2",
        format=ADA,
        config=stylegan2_config(conv_clamp, multiplier, resample_taps(kernels)),
        tensors=float32_tensors(tensors),
        details={
            "pickle_protocol": container.protocol,
            **_module_details(modules),
            "training_set_kwargs": json_details(_training_set(found)),
            "assumed": assumed,
        },
        doubts=doubts,
    )


def _module_details(modules: Mapping[str, Module]) -> dict[str, object]:
    """Class, hashes of the source code, and settings of pickled modules."""
    if not modules:
        return {}
    sources = {part.source for part in modules.values() if part.source is not None}
    return {
        "class_name": quoted(modules[""].class_name),
        "ignored_source_sha256": sorted(
            hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
            for source in sources
        ),
        "init_kwargs": json_details(modules[""].state.get("_init_kwargs")),
    }


def _training_set(found: Found) -> object:
    """The settings of the training set that stand beside the generator."""
    key = "training_set_kwargs"
    return next((holder[key] for holder in found.place.around if key in holder), None)


# What the canonical network takes for granted, by module path
_FC = re.compile(r"mapping\.fc[0-9]+")
_CLAMPED = re.compile(r"synthesis\.b[0-9]+\.(conv[01]|torgb)")
_SETTINGS: tuple[tuple[re.Pattern[str], dict[str, object]], ...] = (
    (re.compile(r"|mapping|synthesis"), {}),
    (re.compile(r"synthesis\.b[0-9]+"), {"architecture": "skip"}),
    (re.compile(r"synthesis\.b[0-9]+\.conv0"), {"activation": "lrelu", "use_noise": True, "up": 2}),
    (re.compile(r"synthesis\.b[0-9]+\.conv1"), {"activation": "lrelu", "use_noise": True, "up": 1}),
    (re.compile(r"synthesis\.b[0-9]+\.torgb"), {}),
    (
        re.compile(r"synthesis\.b[0-9]+\.(conv[01]|torgb)\.affine|mapping\.embed"),
        {"activation": "linear"},
    ),
    (_FC, {"activation": "lrelu"}),
)


def _check_settings(modules: Mapping[str, Module], nodes: Mapping[str, object]) -> None:
    """Raise ModelFileError unless all modules are those of a StyleGAN2 of skip architecture.

    An attribute that a module lacks is as the canonical network has it: older code had it so for
    all.
    """
    if family := family_of_names((*nodes, *modules)):
        raise unsupported(family)
    if "synthesis.b4" not in modules or "mapping.fc0" not in modules:
        raise unsupported(
            f"a {quoted(modules[''].class_name)} without StyleGAN2's mapping and synthesis modules"
        )

    # Blocks first, smallest first: their architecture explains the rest.
    for path in sorted(modules, key=lambda path: (path.count("."), len(path), path)):
        wanted = next((wanted for pattern, wanted in _SETTINGS if pattern.fullmatch(path)), None)
        if wanted is None:
            raise unsupported(f"a generator with a module {quoted(path)}")
        for name, expected in wanted.items():
            value = modules[path].state.get(name, expected)
            if type(value) is not type(expected) or value != expected:
                raise unsupported(
                    f"a generator with {name} {describe(value)} instead of {expected!r} in {path}"
                )


def _tensors(
    container: Container, nodes: Mapping[str, object]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(weights by name, resampling filters by name), without filters that resample nothing."""
    tensors: dict[str, Tensor] = {}
    kernels: dict[str, Tensor] = {}
    for name, node in nodes.items():
        if not name.endswith(".conv1.resample_filter"):
            target = kernels if name.endswith(".resample_filter") else tensors
            target[name] = container.tensor(node, quoted(name))
    return tensors, kernels


def _check_gains(modules: Mapping[str, Module], tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelFileError where a layer's run-time gain is not that of the canonical network."""
    for path, part in modules.items():
        weight = tensors.get(f"{path}.weight")
        if weight is None or weight.ndim < 2 or weight.shape[1] == 0:
            continue  # the check of shapes names it

        # The gains that the canonical network applies.
        fan_in = weight[0].numel()
        if path.startswith("mapping.fc"):
            lr_multiplier = number(
                part.state.get("bias_gain", DEFAULT_LR_MULTIPLIER), f"bias_gain of {path}"
            )
            gains = {"weight_gain": lr_multiplier / math.sqrt(fan_in)}
        elif path.endswith((".affine", ".embed")):
            gains = {"weight_gain": 1 / math.sqrt(fan_in), "bias_gain": 1.0}
        elif path.endswith(".torgb"):
            gains = {"weight_gain": 1 / math.sqrt(fan_in)}
        else:
            gains = {"act_gain": math.sqrt(2)}

        for name, expected in gains.items():
            value = number(part.state.get(name, expected), f"{name} of {path}")
            if not math.isclose(value, expected, rel_tol=1e-5):
                raise unsupported(
                    f"a generator with {name} {value:.6g} instead of {expected:.6g} in {path}"
                )


def _check_sizes(modules: Mapping[str, Module], tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelFileError where attributes or settings contradict the tensors."""
    for path in ("", "mapping", "synthesis"):
        check_sizes(tensors, modules[path].state, path or "the generator")
    check_sizes(tensors, settings(modules[""].state.get("_init_kwargs")), "_init_kwargs")


def _common(modules: Mapping[str, Module], name: str, pattern: re.Pattern[str]) -> float | None:
    """The number (or None) that all modules whose path matches have as their attribute `name`."""
    values = {
        None if part.state.get(name) is None else number(part.state[name], f"{name} of {path}")
        for path, part in modules.items()
        if pattern.fullmatch(path)
    }
    if len(values) > 1:
        raise unsupported(f"a generator whose layers differ in {name}")
    return values.pop() if values else None
