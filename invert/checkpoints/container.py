"""What a model file holds, whatever container it came in: inert nodes and the tensors among them.

The first of two stages; the second, :mod:`layout`, finds the generator among the nodes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from invert.checkpoints import numpy_nodes
from invert.checkpoints.checkpoint import Budget
from invert.checkpoints.modules import PERSISTENT
from invert.checkpoints.nodes import Call
from invert.checkpoints.pickle_machine import Pickle, read_pickle
from invert.checkpoints.safe_safetensors import load_foreign_safetensors
from invert.checkpoints.safe_torch import read_torch_file
from invert.checkpoints.source import Kind
from invert.checkpoints.torch_storage import (
    LOAD_FROM_BYTES,
    REBUILD_PARAMETER,
    REBUILD_TENSOR,
    STORAGE_DTYPES,
    embedded_stream,
    is_tensor,
    tensor_of,
)
from invert.errors import ModelFileError

# names that are interpreted somewhere; others stay inert, see `foreign_names`
_KNOWN = frozenset(
    {
        PERSISTENT,
        REBUILD_PARAMETER,
        REBUILD_TENSOR,
        LOAD_FROM_BYTES,
        "collections.OrderedDict",
        "dnnlib.util.EasyDict",
        "dnnlib.tflib.network.Network",
        *STORAGE_DTYPES,
        *numpy_nodes.GLOBALS,
    }
)


@dataclass(frozen=True, eq=False)
class Container:
    """The object in a file as nodes; `protocol` is the pickle's, None where there is no pickle."""

    kind: Kind
    root: object
    protocol: int | None
    budget: Budget
    storages: Mapping[str, memoryview] = field(default_factory=dict)

    def tensor(self, node: object, what: str) -> Tensor:
        """The tensor at a node, dtype as stored. `what` names it in the error for other nodes."""
        if isinstance(node, Tensor):
            return node
        if numpy_nodes.is_array(node):
            array = numpy_nodes.array(node, what)
            self.budget.spend(array.nbytes)
            return torch.from_numpy(array)
        return tensor_of(node, what, self.storages, self.budget)


def holds_tensor(node: object) -> bool:
    """Whether `Container.tensor` is meant for this node."""
    return isinstance(node, Tensor) or is_tensor(node) or numpy_nodes.is_array(node)


def open_container(data: bytes, kind: Kind) -> Container:
    """The object in a file. Raises ModelFileError for one that is damaged or would run code."""
    if kind is Kind.SAFETENSORS:
        return Container(kind, load_foreign_safetensors(data), None, Budget(len(data)))
    if kind is Kind.PICKLE:
        pickle = _bare_pickle(data)
        return Container(kind, pickle.root, pickle.protocol, Budget(len(data)))
    content = read_torch_file(data, kind, _KNOWN, strict=False)
    _check_embedded(content.pickle)
    return Container(
        kind, content.pickle.root, content.pickle.protocol, Budget(len(data)), content.storages
    )


def _bare_pickle(data: bytes) -> Pickle:
    stream = io.BytesIO(data)
    pickle = read_pickle(stream, _KNOWN, strict=False)
    if stream.tell() != len(data):
        raise ModelFileError(
            f"{len(data) - stream.tell()} bytes follow the end of the pickle; "
            "do not trust this file"
        )
    _check_embedded(pickle)
    return pickle


def _check_embedded(pickle: Pickle) -> None:
    """Raise ModelFileError where a storage's bytes would run code one level down."""
    for call in pickle.calls:
        loads = str(call.function) == LOAD_FROM_BYTES and bool(call.args)
        if loads and isinstance(call.args[0], (bytes, Call)):
            embedded_stream(call, "a tensor")
