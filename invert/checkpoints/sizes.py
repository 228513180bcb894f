"""Sizes that a file states beside its tensors, compared with what the tensors have.

A network whose label embedding was lost on the way still looks like a network, one whose z is
longer; so what the file says of itself is believed only where its tensors say the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from invert.checkpoints.nodes import describe
from invert.errors import ModelFileError
from invert.networks.stylegan2_tensors import first_block, first_layer, mapping_depth, resolutions

# The sizes by the names that PyTorch and TensorFlow files have for them. Labels come first: their
# loss explains the rest.
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
    """Raise ModelFileError unless the sizes stated at `where` are those of the tensors."""
    measured = _measured(tensors)

    for name, size in _NAMES.items():
        value = stated.get(name)
        if type(value) is not int or size not in measured or value == measured[size]:
            continue
        reason = "the file contradicts itself, get the original"
        if size == "c_dim" and value:
            reason = "its label embedding is missing, save the whole network"
        raise ModelFileError(
            f"{where} says {name} {describe(value)}, the tensors have {measured[size]}; {reason}"
        )


def check_embedding(tensors: Mapping[str, Tensor], *, same_width: bool, first: str) -> None:
    """Raise ModelFileError where the label embedding of a conditional network is missing.

    The input of the first layer, which the file calls `first`, tells. With `same_width` z is always
    as wide as w, and a wider input had a label beside z. Without, only twice w's width tells.
    """
    measured = _measured(tensors)
    z_dim, w_dim = measured.get("z_dim", 0), measured.get("w_dim", 0)
    if measured.get("c_dim") == 0 and (z_dim > w_dim if same_width else z_dim == 2 * w_dim):
        raise ModelFileError(
            f"{first} takes {z_dim} values where w has {w_dim}: this is a conditional generator, "
            "and its label embedding is missing; save the whole network, or give the original file"
        )


def _measured(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """The sizes that the tensors have; those of missing or misshapen tensors are left out."""
    measured: dict[str, int] = {}

    # The mapping network's, from its first and last layer.
    depth = mapping_depth(tensors)
    entry, last = (tensors.get(f"mapping.fc{k}.weight") for k in (0, depth - 1))
    embed = tensors.get("mapping.embed.weight")
    if entry is not None and last is not None and all(t.ndim == 2 for t in (entry, last)):
        measured["w_dim"] = last.shape[0]
        if embed is None or embed.ndim == 2:
            measured["c_dim"] = 0 if embed is None else embed.shape[1]
            measured["z_dim"] = entry.shape[1] - (0 if embed is None else embed.shape[0])

    # The synthesis network's. Blocks have the name of their size if the constant were 4×4.
    # Styles are counted from layer 1, which a generator of FNZ_i does not have.
    sizes, block = resolutions(tensors), first_block(tensors)
    const = tensors.get(f"synthesis.b{block}.const")
    if sizes:
        measured["num_ws"] = 2 * len(sizes) + first_layer(block) - 1
    if sizes and const is not None and const.shape[-2:] == (block, block):
        measured["resolution"] = sizes[-1]
    return measured
