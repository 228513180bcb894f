"""Sizes that a file states beside its tensors, compared with what the tensors have.

A network whose label embedding was lost on the way still looks like a network, one whose z is
longer; so what the file says of itself is believed only where its tensors say the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from invert.checkpoints.nodes import describe
from invert.errors import ModelFileError
from invert.networks.stylegan2_tensors import resolutions

# a size by each name that PyTorch and TensorFlow files have for it; labels first, their loss
# explains the rest
_NAMES = {
    "c_dim": "c_dim",
    "label_size": "c_dim",
    "z_dim": "z_dim",
    "w_dim": "w_dim",
    "num_ws": "num_ws",
    "img_resolution": "resolution",
    "latent_size": "z_dim",
    "dlatent_size": "w_dim",
    "resolution": "resolution",
}


def check_sizes(tensors: Mapping[str, Tensor], stated: Mapping[object, object], where: str) -> None:
    """Raise ModelFileError unless the sizes stated at `where` are those of the tensors (canonical
    names).
    """
    measured = _measured(tensors)
    for name, size in _NAMES.items():
        value = stated.get(name)
        if type(value) is not int or size not in measured or value == measured[size]:
            continue
        lost = (
            "; its label embedding is missing, save the whole network"
            if size == "c_dim" and value
            else ""
        )
        raise ModelFileError(
            f"{where} says {name} {describe(value)}, the tensors have {measured[size]}"
            f"{lost or '; the file contradicts itself, get the original'}"
        )


def check_embedding(tensors: Mapping[str, Tensor], *, same_width: bool, first: str) -> None:
    """Raise ModelFileError where the first layer has room for more than z, but there is no label
    embedding.

    `same_width`: z is always as wide as w. Otherwise it is z beside an embedded label that gives
    the loss away, twice
    w's width. `first` is what the file calls that layer.
    """
    measured = _measured(tensors)
    z_dim, w_dim = measured.get("z_dim", 0), measured.get("w_dim", 0)
    if measured.get("c_dim") == 0 and (z_dim > w_dim if same_width else z_dim == 2 * w_dim):
        raise ModelFileError(
            f"{first} takes {z_dim} values where w has {w_dim}: this is a conditional generator, and its label "
            "embedding is missing; save the whole network, or give the original file"
        )


def _measured(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """The sizes that the tensors have; those of missing or misshapen tensors are left out."""
    measured: dict[str, int] = {}
    layers = [
        name for name in tensors if name.startswith("mapping.fc") and name.endswith(".weight")
    ]
    entry, last = (tensors.get(f"mapping.fc{k}.weight") for k in (0, len(layers) - 1))
    embed = tensors.get("mapping.embed.weight")
    if entry is not None and last is not None and all(t.ndim == 2 for t in (entry, last)):
        measured["w_dim"] = last.shape[0]
        if embed is None or embed.ndim == 2:
            measured["c_dim"] = 0 if embed is None else embed.shape[1]
            measured["z_dim"] = entry.shape[1] - (0 if embed is None else embed.shape[0])

    # blocks are named by the side that they would have if the constant were 4×4
    sides = resolutions(tensors)
    const = tensors.get("synthesis.b4.const")
    if sides:
        measured["num_ws"] = 2 * len(sides)
    if sides and const is not None and const.shape[-2:] == (4, 4):
        measured["resolution"] = sides[-1]
    return measured
