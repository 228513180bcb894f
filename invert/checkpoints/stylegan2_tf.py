"""Generators of the TensorFlow releases, StyleGAN2 and StyleGAN2-ADA.

Their files are pickled tuples `(G, D, Gs)` of networks. A network carries the source code that
built it, which the original executes and which is ignored here, its settings (`static_kwargs`) and
its variables by name. Converted to the canonical convention:

- dense and modulation weights are [in, out] there, [out, in] here;
- convolution weights are [kh, kw, in, out] there, [out, in, kh, kw] here;
- the up-convolution is flipped in both axes, since TensorFlow flips it when it turns it into a
  transposed convolution;
- modulation biases are stored as an offset from 1 there, as the bias itself here;
- noise maps belong to the synthesis network there (`noise{k}`, k counting layers), to their layer
  here.

TensorFlow's run-time gain on convolution weights is dropped: demodulation divides it out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from invert.checkpoints import numpy_nodes
from invert.checkpoints.checkpoint import (
    Budget,
    Checkpoint,
    first,
    float32_tensors,
    stylegan2_config,
    unsupported,
)
from invert.checkpoints.container import Container
from invert.checkpoints.details import json_details
from invert.checkpoints.layout import NETWORK, TENSORFLOW, Found
from invert.checkpoints.mapping_multiplier import mapping_multiplier
from invert.checkpoints.nodes import Call, describe, entries, is_mapping, quoted
from invert.checkpoints.numpy_nodes import number
from invert.checkpoints.sizes import check_sizes
from invert.errors import ModelFileError
from invert.networks.stylegan2 import DEFAULT_RESAMPLE_FILTER

VERSION = 4
GLOBALS = frozenset(
    {NETWORK, "dnnlib.util.EasyDict", "collections.OrderedDict", *numpy_nodes.GLOBALS}
)

# Settings that the shapes repeat, or that only matter in training or to the sampler.
_FREE_SETTINGS = frozenset(
    {
        *("latent_size", "label_size", "dlatent_size", "resolution", "num_channels"),
        *("mapping_layers", "mapping_fmaps", "label_fmaps", "fmap_base", "fmap_max"),
        *("w_avg_beta", "num_fp16_res", "structure", "style_mixing_prob"),
        *("truncation_psi", "truncation_cutoff"),
    }
)
_FIXED_SETTINGS = {
    "architecture": "skip",
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "use_noise": True,
}
_CONFIG_SETTINGS = frozenset({"conv_clamp", "mapping_lrmul", "resample_kernel"})

_LAYERS = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb"}


def read(container: Container, found: Found) -> Checkpoint:
    """The checkpoint of the network `Gs`, alone or in its tuple."""
    state = _state(found.place.node, "Gs")
    static = entries(state.get("static_kwargs"), "static_kwargs of Gs")
    _check_settings(static)
    variables, sources = _collect(state, container.budget)

    # Variables by their canonical names.
    tensors: dict[str, Tensor] = {}
    unknown = []
    for name, value in float32_tensors(variables).items():
        converted = _convert(name, value)
        if converted is not None:
            if converted[0] in tensors:
                raise ModelFileError(
                    f"{quoted(name)} and another variable are both {converted[0]}; it is damaged"
                )
            tensors[converted[0]] = converted[1]
        elif name != "lod":  # left over from progressive growing; unused
            unknown.append(name)
    if unknown:
        raise unsupported(f"a network with variables {first(unknown)}")
    check_sizes(tensors, static, "static_kwargs")

    # What the shapes do not tell.
    assumed: dict[str, str] = {}
    doubts: dict[str, str] = {}
    config = _config(static, tensors, assumed, doubts)

    hashes = (hashlib.sha256(text.encode("utf-8", "surrogatepass")) for text in sources)
    return Checkpoint(
        architecture="stylegan2",
        format=TENSORFLOW,
        config=config,
        tensors={name: value.contiguous() for name, value in tensors.items()},
        details={
            "pickle_protocol": container.protocol,
            "name": json_details(state.get("name")),
            "build_func_name": json_details(state.get("build_func_name")),
            "ignored_source_sha256": sorted(digest.hexdigest() for digest in hashes),
            "static_kwargs": json_details(static),
            "assumed": assumed,
        },
        doubts=doubts,
    )


def _state(node: object, what: str) -> dict[object, object]:
    """The `__dict__` of a network of the supported version."""
    if not isinstance(node, Call) or not f".{node.function}".endswith(f".{NETWORK}"):
        raise unsupported(f"a tuple whose {what} is {describe(node)}")
    state = entries(node.state, f"the state of {what}")
    if state.get("version") != VERSION:
        version = describe(state.get("version"))
        raise unsupported(f"a TensorFlow network of version {version} (StyleGAN1 has 2 or 3)")
    return state


def _check_settings(settings: Mapping[object, object]) -> None:
    """Raise ModelFileError for settings that no supported network has."""
    known = _FREE_SETTINGS | _FIXED_SETTINGS.keys() | _CONFIG_SETTINGS
    unknown = [str(name) for name in settings if name not in known]
    if unknown:
        raise unsupported(f"a network built with {first(unknown)}")
    for name, expected in _FIXED_SETTINGS.items():
        value = settings.get(name)
        if value is not None and (type(value) is not type(expected) or value != expected):
            raise unsupported(f"a network with {name} {describe(value)} instead of {expected!r}")


def _config(
    settings: Mapping[object, object],
    tensors: Mapping[str, Tensor],
    assumed: dict[str, str],
    doubts: dict[str, str],
) -> dict[str, object]:
    """The config that the settings of a network state; `assumed` says what they leave open.

    Raises ModelFileError for values that are none.
    """
    clamp, multiplier, kernel = (
        settings.get(k) for k in ("conv_clamp", "mapping_lrmul", "resample_kernel")
    )
    if "conv_clamp" not in settings:
        assumed["conv_clamp"] = (
            "none; the settings do not say (256 in networks that were trained in half precision)"
        )
    stated = None if multiplier is None else number(multiplier, "mapping_lrmul")

    taps: list[float] = list(DEFAULT_RESAMPLE_FILTER)
    if kernel is not None:
        if not isinstance(kernel, (list, tuple)):
            raise ModelFileError(
                f"resample_kernel should be a list of taps, this is {describe(kernel)}"
            )
        taps = [number(tap, "a tap of resample_kernel") for tap in kernel]
    return stylegan2_config(
        None if clamp is None else number(clamp, "conv_clamp"),
        mapping_multiplier(tensors, stated, assumed, doubts),
        taps,
    )


def _collect(state: Mapping[object, object], budget: Budget) -> tuple[dict[str, Tensor], set[str]]:
    """(variables by name, `component/variable` below the components; the distinct source texts)."""
    variables: dict[str, Tensor] = {}
    sources: set[str] = set()

    # The network itself and its two components.
    components = entries(state.get("components"), "components of Gs")
    if set(components) != {"mapping", "synthesis"}:
        raise unsupported(f"a network with components {first(map(str, components)) or 'missing'}")
    parts = {f"{name}/": _state(node, str(name)) for name, node in components.items()}

    for prefix, part in {"": state, **parts}.items():
        if isinstance(source := part.get("build_module_src"), str):
            sources.add(source)
        inner = part.get("components")
        if prefix and is_mapping(inner) and entries(inner, "components"):
            raise unsupported(f"a network whose {prefix[:-1]} has components of its own")

        # Its variables.
        for name, node in _variables(part, prefix or "Gs"):
            what = f"variable {quoted(prefix + name)}"
            if prefix + name in variables:
                raise ModelFileError(f"{what} stands twice in the file; it is damaged")
            array = numpy_nodes.array(node, what)
            budget.spend(array.nbytes)
            variables[prefix + name] = torch.from_numpy(array)
    return variables, sources


def _variables(state: Mapping[object, object], what: str) -> Iterator[tuple[str, object]]:
    """(name, value) of the variables of one network."""
    variables = state.get("variables")
    if not isinstance(variables, (list, tuple)):
        raise ModelFileError(
            f"the variables of {what} should be a list, this is {describe(variables)}"
        )

    for variable in variables:
        pair = isinstance(variable, tuple) and len(variable) == 2
        if not pair or not isinstance(variable[0], str):
            raise ModelFileError(
                f"a variable of {what} should be (name, value), this is {describe(variable)}"
            )
        yield variable


def _convert(name: str, value: Tensor) -> tuple[str, Tensor] | None:
    """(canonical name, converted value) of a TensorFlow variable; None when it is unknown."""
    for pattern, convert in _CONVERSIONS:
        match = re.fullmatch(pattern, name)
        if match:
            return convert(match, value)
    return None


def _noise(match: re.Match[str], value: Tensor) -> tuple[str, Tensor]:
    k = int(match[1])  # 0 at 4×4; then 2·log2(r) − 5 and − 4 for the two layers of resolution r
    return f"synthesis.b{2 ** ((k + 5) // 2)}.conv{1 - k % 2}.noise_const", _first(_first(value))


def _layer(match: re.Match[str], value: Tensor) -> tuple[str, Tensor]:
    size, layer, kind = match.groups()
    prefix = f"synthesis.b{size}.{_LAYERS[layer]}."

    if kind == "weight":
        value = value.permute(3, 2, 0, 1) if value.ndim == 4 else value
        flipped = layer == "Conv0_up" and value.ndim == 4
        return prefix + "weight", value.flip(2, 3) if flipped else value
    if kind == "mod_weight":
        return prefix + "affine.weight", _transpose(value)
    if kind == "mod_bias":
        return prefix + "affine.bias", value + 1
    return prefix + kind, value


def _transpose(value: Tensor) -> Tensor:
    return value.T if value.ndim == 2 else value


def _first(value: Tensor) -> Tensor:
    """`value` without its leading axis of length 1, if it has one."""
    return value[0] if value.ndim and value.shape[0] == 1 else value


_KINDS = "weight|bias|mod_weight|mod_bias|noise_strength"
_CONVERSIONS: tuple[tuple[str, Callable[[re.Match[str], Tensor], tuple[str, Tensor]]], ...] = (
    (r"dlatent_avg", lambda match, value: ("mapping.w_avg", value)),
    (r"mapping/LabelEmbed/weight", lambda m, value: ("mapping.embed.weight", _transpose(value))),
    (r"mapping/LabelEmbed/bias", lambda m, value: ("mapping.embed.bias", value)),
    (
        r"mapping/Dense([0-9]{1,2})/weight",
        lambda match, value: (f"mapping.fc{match[1]}.weight", _transpose(value)),
    ),
    (r"mapping/Dense([0-9]{1,2})/bias", lambda match, value: (f"mapping.fc{match[1]}.bias", value)),
    (r"synthesis/4x4/Const/const", lambda match, value: ("synthesis.b4.const", _first(value))),
    (r"synthesis/noise([0-9]{1,2})", _noise),
    (rf"synthesis/([0-9]{{1,5}})x\1/(Conv|ToRGB|Conv0_up|Conv1)/({_KINDS})", _layer),
)
