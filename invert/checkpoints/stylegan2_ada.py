"""Generators of StyleGAN2-ADA-PyTorch (StyleGAN3's StyleGAN2 too): a pickled `{G, D, G_ema, ...}`.

Every network object is a call of `torch_utils.persistence._reconstruct_persistent_obj` with the *source code*
of its class, which the original loader executes, and the `__dict__` of each module. The source is ignored
(its hash is kept); the `__dict__` has all that is needed. Names and values are the canonical ones, so nothing
is converted: weights stay without their run-time gains, and `resample_filter` buffers become one entry of the
config.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from invert.checkpoints import numpy_nodes
from invert.checkpoints.checkpoint import (
    DEFAULT_LR_MULTIPLIER,
    Budget,
    Checkpoint,
    first,
    float32_tensors,
    stylegan2_config,
    unsupported,
)
from invert.checkpoints.details import json_details
from invert.checkpoints.nodes import call_args, describe, entries, quoted
from invert.checkpoints.numpy_nodes import number
from invert.checkpoints.pickle_machine import Pickle
from invert.checkpoints.resample_filter import resample_taps
from invert.checkpoints.torch_storage import (
    LOAD_FROM_BYTES,
    REBUILD_PARAMETER,
    REBUILD_TENSOR,
    embedded_tensor,
)
from invert.errors import ModelFileError

FORMAT = "stylegan2-ada-pytorch"
PERSISTENT = "torch_utils.persistence._reconstruct_persistent_obj"
PERSISTENCE_VERSION = 6
MAX_MODULES = 1_000
MAX_ENTRIES = 1_000  # of one module
MAX_NAME = 100  # characters
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


@dataclass(frozen=True, eq=False)
class Module:
    """One torch module of the file: dotted path inside the generator, class name, source and `__dict__`."""

    path: str
    class_name: str
    source: str
    state: Mapping[object, object]

    def entries(self, name: str) -> dict[str, object]:
        """`_parameters`, `_buffers` or `_modules`."""
        what = f"{self.path or 'G_ema'}.{name}"
        found = entries(self.state.get(name), quoted(what))
        named = {key: value for key, value in found.items() if isinstance(key, str) and len(key) <= MAX_NAME}
        if len(named) != len(found) or len(named) > MAX_ENTRIES:
            raise ModelFileError(f"{quoted(what)} has entries that no torch module has; the file is damaged")
        return named

    def children(self) -> Iterator[Module]:
        for name, node in self.entries("_modules").items():
            if node is not None:
                yield module(node, f"{self.path}.{name}" if self.path else name)


def module(node: object, path: str) -> Module:
    """The module that a persistent-object node describes."""
    what = quoted(path) or "G_ema"
    args = call_args(node, (PERSISTENT,), what)
    meta = entries(args[0] if len(args) == 1 else None, f"the description of {what}")
    class_name, source = meta.get("class_name"), meta.get("module_src")
    if meta.get("type") != "class" or not isinstance(class_name, str) or not isinstance(source, str):
        raise ModelFileError(f"{what} is not described as a class; the file is damaged")
    if meta.get("version") != PERSISTENCE_VERSION:
        raise unsupported(f"a persistent object of version {describe(meta.get('version'))} instead of 6")
    return Module(path, class_name, source, entries(meta.get("state"), f"the state of {what}"))


def read(pickle: Pickle, file_bytes: int) -> Checkpoint:
    """The averaged generator, `G_ema`, of a pickled dict; `file_bytes` bounds the size of the tensors."""
    root = entries(pickle.root, "the file")
    if root.get("G_ema") is None:
        held = first(key for key in root if isinstance(key, str)) or "nothing of the kind"
        raise ModelFileError(f"G_ema, the averaged generator, is missing (found {held}); export a file with G_ema")
    generator = module(root["G_ema"], "")
    modules = _walk(generator)
    _check_settings(generator, modules)
    tensors, kernels = _tensors(modules, Budget(file_bytes))
    _check_gains(modules, tensors)
    conv_clamp = _common(modules, "conv_clamp", _CLAMPED)
    lr_multiplier = _common(modules, "bias_gain", _FC)
    return Checkpoint(
        architecture="stylegan2",
        format=FORMAT,
        config=stylegan2_config(
            conv_clamp,
            DEFAULT_LR_MULTIPLIER if lr_multiplier is None else lr_multiplier,
            resample_taps(kernels),
        ),
        tensors=float32_tensors(tensors),
        details={
            "pickle_protocol": pickle.protocol,
            "class_name": quoted(generator.class_name),
            "ignored_source_sha256": sorted(
                hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
                for source in {part.source for part in modules.values()}
            ),
            "init_kwargs": json_details(generator.state.get("_init_kwargs")),
            "training_set_kwargs": json_details(root.get("training_set_kwargs")),
        },
    )


def _walk(generator: Module) -> dict[str, Module]:
    """All modules of the generator by path; one that contains itself would not end, hence the limit."""
    found: dict[str, Module] = {}
    waiting = [generator]
    while waiting:
        part = waiting.pop()
        found[part.path] = part
        waiting.extend(part.children())
        if len(found) + len(waiting) > MAX_MODULES:
            raise ModelFileError(f"the generator has more than {MAX_MODULES} modules; do not trust this file")
    return found


# what the canonical network takes for granted, by module path
_FC = re.compile(r"mapping\.fc[0-9]+")
_CLAMPED = re.compile(r"synthesis\.b[0-9]+\.(conv[01]|torgb)")
_SETTINGS: tuple[tuple[re.Pattern[str], dict[str, object]], ...] = (
    (re.compile(r"|mapping|synthesis"), {}),
    (re.compile(r"synthesis\.b[0-9]+"), {"architecture": "skip"}),
    (re.compile(r"synthesis\.b[0-9]+\.conv0"), {"activation": "lrelu", "use_noise": True, "up": 2}),
    (re.compile(r"synthesis\.b[0-9]+\.conv1"), {"activation": "lrelu", "use_noise": True, "up": 1}),
    (re.compile(r"synthesis\.b[0-9]+\.torgb"), {}),
    (re.compile(r"synthesis\.b[0-9]+\.(conv[01]|torgb)\.affine|mapping\.embed"), {"activation": "linear"}),
    (_FC, {"activation": "lrelu"}),
)


def _check_settings(generator: Module, modules: Mapping[str, Module]) -> None:
    """Raise ModelFileError, saying what the file is, unless all modules are a StyleGAN2 skip generator's."""
    if "synthesis.input" in modules or any(path.startswith("synthesis.L0_") for path in modules):
        raise unsupported("StyleGAN3")
    if generator.class_name != "Generator" or "synthesis.b4" not in modules or "mapping.fc0" not in modules:
        raise unsupported(f"a {quoted(generator.class_name)} without StyleGAN2's mapping and synthesis modules")
    # blocks first, smallest first: their architecture explains the rest
    for path in sorted(modules, key=lambda path: (path.count("."), len(path), path)):
        settings = next((settings for pattern, settings in _SETTINGS if pattern.fullmatch(path)), None)
        if settings is None:
            raise unsupported(f"a generator with a module {quoted(path)}")
        for name, expected in settings.items():
            value = modules[path].state.get(name)
            if type(value) is not type(expected) or value != expected:
                raise unsupported(f"a generator with {name} {describe(value)} instead of {expected!r} in {path}")


def _tensors(modules: Mapping[str, Module], budget: Budget) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(weights by canonical name, resampling filters by name); without the filters that resample nothing."""
    tensors: dict[str, Tensor] = {}
    kernels: dict[str, Tensor] = {}
    for path, part in modules.items():
        for name, node in [*part.entries("_parameters").items(), *part.entries("_buffers").items()]:
            full = f"{path}.{name}"
            if node is None or (name == "resample_filter" and path.endswith(".conv1")):
                continue
            target = kernels if name == "resample_filter" else tensors
            target[full] = embedded_tensor(node, quoted(full), budget)
    return tensors, kernels


def _check_gains(modules: Mapping[str, Module], tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelFileError when a layer's run-time gain is not the one the canonical network applies."""
    for path, part in modules.items():
        weight = tensors.get(f"{path}.weight")
        if weight is None or weight.ndim < 2 or weight.shape[1] == 0:
            continue  # the shape check names it
        fan_in = weight[0].numel()
        if path.startswith("mapping.fc"):
            lr_multiplier = number(part.state.get("bias_gain"), f"bias_gain of {path}")
            gains = {"weight_gain": lr_multiplier / math.sqrt(fan_in)}
        elif path.endswith((".affine", ".embed")):
            gains = {"weight_gain": 1 / math.sqrt(fan_in), "bias_gain": 1.0}
        elif path.endswith(".torgb"):
            gains = {"weight_gain": 1 / math.sqrt(fan_in)}
        else:
            gains = {"act_gain": math.sqrt(2)}
        for name, expected in gains.items():
            value = number(part.state.get(name), f"{name} of {path}")
            if not math.isclose(value, expected, rel_tol=1e-5):
                raise unsupported(f"a generator with {name} {value:.6g} instead of {expected:.6g} in {path}")


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
