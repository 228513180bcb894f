"""What every checkpoint file is read into: canonical names, float32 tensors, config, details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from invert.checkpoints.nodes import describe, quoted
from invert.errors import ModelFileError
from invert.latent_maps.filtered_noise import LatentMap
from invert.networks.stylegan2 import (
    DEFAULT_LR_MULTIPLIER,
    DEFAULT_RESAMPLE_FILTER,
    check_latent_map,
)
from invert.networks.stylegan2_tensors import check_stylegan2, expected_shapes

JSON: TypeAlias = Any  # whatever json.dumps can write

ARCHITECTURES = ("stylegan2", "mobile-stylegan")


@dataclass(frozen=True)
class Checkpoint:
    """A generator's weights, independent of the file format they came in.

    `tensors` of a "stylegan2" have the names and raw values (no run-time gain applied) of
    StyleGAN2-ADA-PyTorch. `config` is what their shapes do not tell: `conv_clamp` (float or None),
    `mapping_lr_multiplier` and `resample_filter` (taps, which the network scales to sum 1); that of
    a generator of FNZ_i also has `latent_map`, the distribution of F_i (`LatentMap.config`).
    `details` is for people: container, class, protocol, hashes of source code that was ignored,
    training settings and, under `assumed`, what the file does not say. `doubts` holds a sentence
    about each assumption that a user should know of at once.
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
    latent_map: LatentMap | None = None,
) -> dict[str, JSON]:
    """The config of a StyleGAN2, always with the same three keys and number types.

    That of a generator whose F_i is sampled has its `latent_map` as well.
    """
    taps = [float(tap) for tap in resample_filter]
    config: dict[str, JSON] = {
        "conv_clamp": None if conv_clamp is None else float(conv_clamp),
        "mapping_lr_multiplier": float(mapping_lr_multiplier),
        "resample_filter": [int(tap) if tap.is_integer() else tap for tap in taps],
    }
    return config if latent_map is None else {**config, "latent_map": latent_map.config()}


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
    """Raise ModelFileError unless these are the weights of a network that can be built.

    That is for an unknown architecture, wrong names or shapes, and (unless allowed) NaN.
    """
    tensors = checkpoint.tensors
    if checkpoint.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelFileError(
            f"supported architectures: {known}; this is {describe(checkpoint.architecture)}"
        )

    # Names, shapes, config. The tensors of a MobileStyleGAN are checked as the network is built.
    if checkpoint.architecture == "stylegan2":
        wanted = expected_shapes(tensors)
        if unexpected := [name for name in tensors if name not in wanted]:
            raise ModelFileError(f"not a StyleGAN2 generator: unexpected {first(unexpected)}")
        _check_colours(tensors)
        check_stylegan2(tensors)
        _check_config(checkpoint.config)
        check_latent_map(tensors, checkpoint.config.get("latent_map"))

    # Values.
    empty = [name for name, t in tensors.items() if t.numel() == 0]
    if empty or not tensors:
        what = first(empty) if empty else "the file"
        raise ModelFileError(f"no weights in {what}; it is damaged")
    nonfinite = [name for name, t in tensors.items() if not bool(torch.isfinite(t).all())]
    if nonfinite and not allow_nonfinite:
        raise ModelFileError(
            f"NaN or infinity in {first(nonfinite)}; --allow-nonfinite reads the file all the "
            "same; use another snapshot of the training"
        )


def _check_colours(tensors: Mapping[str, Tensor]) -> None:
    """Raise ModelFileError unless the images have RGB's three channels."""
    channels = {
        t.shape[0] for name, t in tensors.items() if name.endswith(".torgb.weight") and t.ndim == 4
    }
    if len(channels) != 1 or (count := channels.pop()) == 3:
        return

    kinds = {1: "grey pictures", 4: "pictures with transparency", 12: "the wavelets of pictures"}
    plural = "s" if count > 1 else ""
    raise unsupported(
        f"a StyleGAN2 of {count} colour channel{plural} ({kinds.get(count, 'no RGB pictures')}); "
        "train it on RGB pictures"
    )


def _check_config(config: Mapping[str, JSON]) -> None:
    """Raise ModelFileError unless `stylegan2_config` makes such a config.

    Fingerprints depend on it.
    """
    names = tuple(stylegan2_config())
    if set(config) - {"latent_map"} != set(names):
        raise ModelFileError(
            f"config should be {', '.join(names)}; got {first(config) or 'nothing'}"
        )

    clamp, multiplier, taps = (config[name] for name in names)
    if clamp is not None and not (_is_number(clamp) and clamp > 0):
        raise ModelFileError(
            f"conv_clamp should be a positive number or null, this is {describe(clamp)}"
        )
    if not (_is_number(multiplier) and multiplier > 0):
        raise ModelFileError(
            f"mapping_lr_multiplier should be a positive number, this is {describe(multiplier)}"
        )

    is_filter = isinstance(taps, (list, tuple)) and 2 <= len(taps) <= 64
    if not is_filter or not all(map(_is_number, taps)) or sum(taps) == 0:
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
