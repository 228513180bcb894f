"""What every checkpoint format is read into: canonical names, float32 tensors, config and details."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from invert.checkpoints.nodes import describe, quoted
from invert.errors import ModelFileError
from invert.networks.stylegan2 import check_stylegan2

JSON: TypeAlias = Any  # whatever json.dumps can write

ARCHITECTURES = ("stylegan2", "mobile-stylegan")
DEFAULT_LR_MULTIPLIER = 0.01
DEFAULT_RESAMPLE_FILTER = (1, 3, 3, 1)

_STYLEGAN2_NAME = re.compile(
    r"mapping\.(w_avg|(embed|fc\d{1,2})\.(weight|bias))"
    r"|synthesis\.b4\.const"
    r"|synthesis\.b[1-9]\d{0,4}\."
    r"(conv[01]\.(weight|bias|noise_const|noise_strength|affine\.weight|affine\.bias)"
    r"|torgb\.(weight|bias|affine\.weight|affine\.bias))",
    re.ASCII,
)


@dataclass(frozen=True)
class Checkpoint:
    """A generator's weights, independent of the file format they came in.

    `tensors` of a "stylegan2" have the names and raw values (no run-time gain applied) of
    StyleGAN2-ADA-PyTorch. `config` is what their shapes do not tell: `conv_clamp` (float or None),
    `mapping_lr_multiplier` and `resample_filter` (taps, normalized to sum 1 by the network).
    `details` is for
    people: container, class, protocol, hashes of source code that was ignored, training settings,
    and under `assumed`
    what the file does not say. `doubts` are sentences about those of them that a person should know
    of at once.
    """

    architecture: str
    format: str
    config: Mapping[str, JSON]
    tensors: Mapping[str, Tensor]  # float32, contiguous, CPU
    details: Mapping[str, JSON] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)


def unsupported(what: str) -> ModelFileError:
    """The error for a readable file of an architecture that the network class cannot express."""
    return ModelFileError(
        "supported: StyleGAN2 generators of skip architecture with noise and leaky ReLU, "
        f"from StyleGAN2-ADA-PyTorch, TensorFlow (version 4) or rosinality; this is {what}"
    )


def stylegan2_config(
    conv_clamp: float | None = None,
    mapping_lr_multiplier: float = DEFAULT_LR_MULTIPLIER,
    resample_filter: Iterable[float] = DEFAULT_RESAMPLE_FILTER,
) -> dict[str, JSON]:
    """The config of a StyleGAN2, always with the same three keys and number types."""
    taps = [float(tap) for tap in resample_filter]
    return {
        "conv_clamp": None if conv_clamp is None else float(conv_clamp),
        "mapping_lr_multiplier": float(mapping_lr_multiplier),
        "resample_filter": [int(tap) if tap.is_integer() else tap for tap in taps],
    }


class Budget:
    """The bytes that the tensors of a file may ask for together, no more than the file has.

    A pickle can mention one array a thousand times; each mention would become a copy.
    """

    def __init__(self, file_bytes: int) -> None:
        self.left = file_bytes

    def spend(self, nbytes: int) -> None:
        """Raise ModelFileError when nothing is left for another `nbytes`."""
        self.left -= nbytes
        if self.left < 0:
            raise ModelFileError(
                "the tensors ask for more bytes than the file has; do not trust this file"
            )


def float32_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` as float32, contiguous, in memory of their own. Raises ModelFileError for integer
    ones.
    """
    wrong = [name for name, t in tensors.items() if not t.is_floating_point()]
    if wrong:
        kind = str(tensors[wrong[0]].dtype).removeprefix("torch.")
        raise ModelFileError(
            f"expected float weights, {quoted(wrong[0])} is {kind}; not a generator"
        )
    return {
        name: t.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        for name, t in tensors.items()
    }


def check(checkpoint: Checkpoint, *, allow_nonfinite: bool) -> None:
    """Raise ModelFileError for an unknown architecture, wrong names or shapes, or (unless allowed)
    NaN.
    """
    if checkpoint.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelFileError(
            f"supported architectures: {known}; this is {describe(checkpoint.architecture)}"
        )
    tensors = checkpoint.tensors
    if checkpoint.architecture == "stylegan2":
        foreign = [name for name in tensors if not _STYLEGAN2_NAME.fullmatch(name)]
        if foreign:
            raise ModelFileError(f"not a StyleGAN2 generator: unexpected {first(foreign)}")
        _check_colours(tensors)
        check_stylegan2(tensors)
        _check_config(checkpoint.config)
        embed = tensors.get("mapping.embed.weight")
        if embed is not None and tensors["mapping.fc0.weight"].shape[1] <= embed.shape[0]:
            raise ModelFileError(
                "not a StyleGAN2 generator: mapping.fc0.weight has no room for z beside the label"
            )
    empty = [name for name, t in tensors.items() if t.numel() == 0]
    if empty or not tensors:
        raise ModelFileError(
            f"no weights in {first(empty) if empty else 'the file'}; it is damaged"
        )
    nonfinite = [name for name, t in tensors.items() if not bool(torch.isfinite(t).all())]
    if nonfinite and not allow_nonfinite:
        raise ModelFileError(
            f"NaN or infinity in {first(nonfinite)}; --allow-nonfinite reads the file all the same; "
            "use another snapshot of the training"
        )


def _check_colours(tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelFileError where the pictures have another number of channels than RGB's three."""
    channels = {
        t.shape[0] for name, t in tensors.items() if name.endswith(".torgb.weight") and t.ndim == 4
    }
    if len(channels) == 1 and (count := channels.pop()) != 3:
        kinds = {
            1: "grey pictures",
            4: "pictures with transparency",
            12: "the wavelets of pictures",
        }
        channels_of = f"{count} colour channel{'s' if count > 1 else ''} ({kinds.get(count, 'no RGB pictures')})"
        raise unsupported(f"a StyleGAN2 of {channels_of}; train it on RGB pictures")


def _check_config(config: Mapping[str, JSON]) -> None:
    """Raise ModelFileError unless `config` is one that `stylegan2_config` makes; fingerprints
    depend on it.
    """
    if set(config) != {"conv_clamp", "mapping_lr_multiplier", "resample_filter"}:
        raise ModelFileError(
            f"config should be conv_clamp, mapping_lr_multiplier, resample_filter; got {first(config) or 'nothing'}"
        )
    clamp, multiplier, taps = (
        config["conv_clamp"],
        config["mapping_lr_multiplier"],
        config["resample_filter"],
    )
    if clamp is not None and not (_is_number(clamp) and clamp > 0):
        raise ModelFileError(
            f"conv_clamp should be a positive number or null, this is {describe(clamp)}"
        )
    if not (_is_number(multiplier) and multiplier > 0):
        raise ModelFileError(
            f"mapping_lr_multiplier should be a positive number, this is {describe(multiplier)}"
        )
    proper = (
        isinstance(taps, (list, tuple))
        and 2 <= len(taps) <= 64
        and all(_is_number(tap) for tap in taps)
    )
    if not proper or sum(taps) == 0:
        raise ModelFileError(
            f"resample_filter should be 2 to 64 taps with a sum, this is {describe(taps)}"
        )


def _is_number(value: object) -> bool:
    """Whether `value` is a number that float32 can hold; NaN is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e38


def first(names: Iterable[str], count: int = 5) -> str:
    """The first `count` names, and how many more there are."""
    listed = [quoted(name) for name in names]
    more = f" (and {len(listed) - count} more)" if len(listed) > count else ""
    return ", ".join(listed[:count]) + more
