"""Tensors inside pickles: the streams of torch.save before 1.6, and views into their storages.

`torch.storage._load_from_bytes` stands in every StyleGAN2-ADA pickle with the bytes of such a
stream as its argument. The function is `torch.load(weights_only=False)`, hence code execution one
level down, so the bytes are read here by the symbolic machine. A stream is five pickles (magic
number; protocol 1001; system information; the object, with storages as persistent ids; the list of
storage keys), then for each key an int64 element count and the raw elements, little-endian.

What a file claims is compared with what it holds before anything is allocated: element counts with
bytes, and offset, shape and strides of every view with its storage.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor

from invert.checkpoints.checkpoint import Budget
from invert.checkpoints.nodes import Call, Global, PersistentId, call_args, entries, foreign
from invert.checkpoints.numpy_nodes import raw_bytes
from invert.checkpoints.pickle_machine import MAX_OPCODES, Pickle, read_pickle
from invert.errors import ModelFileError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
STREAM_VERSION = 1001
MAX_DIMENSIONS = 8
MAX_SIZE = 1 << 40  # elements, in any axis, stride or offset
MAX_HEADER_OPCODES = 100  # each pickle before the object has fewer than 40

STORAGE_DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2"
REBUILD_PARAMETER = "torch._utils._rebuild_parameter"
_PARAMETERS = (REBUILD_PARAMETER, "torch._utils._rebuild_parameter_with_state")
LOAD_FROM_BYTES = "torch.storage._load_from_bytes"


@dataclass(frozen=True)
class StorageId:
    """What a persistent id declares of a storage."""

    key: str  # of its data in the file
    dtype: torch.dtype
    numel: int  # elements

    @property
    def nbytes(self) -> int:
        """The bytes that the storage should have."""
        return self.numel * self.dtype.itemsize


def storage_id(node: object) -> StorageId:
    """The storage that a persistent id `('storage', type, key, device, numel, ...)` declares."""
    pid = node.pid if isinstance(node, PersistentId) else None

    # A sixth entry would make it a window into another storage; torch wrote none since 2017.
    proper = isinstance(pid, tuple) and pid[:1] == ("storage",) and pid[5:] in ((), (None,))
    if proper and isinstance(pid, tuple) and len(pid) >= 5:
        _, kind, key, _, numel = pid[:5]
        dtype = STORAGE_DTYPES.get(str(kind)) if isinstance(kind, Global) else None
        if dtype is not None and isinstance(key, str) and type(numel) is int and numel >= 0:
            return StorageId(key, dtype, numel)
        if dtype is None and (error := foreign(kind, "the type of a tensor's storage")):
            raise error
    raise ModelFileError(
        "a tensor's storage is not declared as torch does; the file is damaged or of another kind"
    )


@dataclass(frozen=True)
class View:
    """Where a tensor lies in its storage; all in elements."""

    storage: object
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def view(node: object, what: str) -> View:
    """The arguments of a `_rebuild_tensor_v2`, or of that in a `_rebuild_parameter`, checked."""
    if isinstance(node, Call) and str(node.function) in _PARAMETERS and node.args:
        node = node.args[0]

    args = call_args(node, (REBUILD_TENSOR,), what)
    if len(args) >= 4:
        storage, offset, shape, strides = args[:4]
        if (
            _is_size(offset)
            and (_are_sizes(shape) and _are_sizes(strides))
            and len(shape) == len(strides)
        ):
            return View(storage, offset, shape, strides)

    raise ModelFileError(
        f"{what} has no proper offset, shape and strides; the file is damaged or hostile"
    )


def is_tensor(node: object) -> bool:
    """Whether torch would make a dense tensor, or a parameter, of `node`."""
    return isinstance(node, Call) and str(node.function) in (REBUILD_TENSOR, *_PARAMETERS)


def _is_size(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < MAX_SIZE


def _are_sizes(value: object) -> TypeGuard[tuple[int, ...]]:
    if not isinstance(value, tuple) or len(value) > MAX_DIMENSIONS:
        return False
    return all(_is_size(size) for size in value)


def check_view(view: View, numel: int, what: str) -> None:
    """Raise ModelFileError unless the view lies in `numel` elements and has no more of them.

    A stride of 0 lets a file of a kilobyte declare a tensor of 10^12 elements; a large offset reads
    foreign memory.
    """
    wanted = math.prod(view.shape)
    steps = zip(view.shape, view.strides, strict=True)
    last = view.offset + sum((size - 1) * stride for size, stride in steps)
    if wanted > numel or (wanted and last >= numel) or view.offset > numel:
        raise ModelFileError(
            f"{what} of shape {list(view.shape)}, strides {list(view.strides)}, offset "
            f"{view.offset} does not fit into its storage of {numel} elements; "
            "the file is damaged or hostile"
        )


@dataclass(frozen=True)
class Stream:
    """A parsed torch.save stream: the object as nodes and the raw bytes of each storage."""

    pickle: Pickle
    storages: Mapping[str, memoryview]


def read_stream(
    data: bytes, allowed: frozenset[str], *, strict: bool = True, max_opcodes: int = MAX_OPCODES
) -> Stream:
    """The torch.save stream (no zip) in `data`; limits and names as in `read_pickle`."""
    stream = io.BytesIO(data)
    plain: frozenset[str] = frozenset()

    # Magic number, protocol and system information.
    header = [read_pickle(stream, plain, max_opcodes=MAX_HEADER_OPCODES).root for _ in range(3)]
    if header[:2] != [MAGIC_NUMBER, STREAM_VERSION]:
        raise ModelFileError(
            "this is not the byte stream of torch.save; the file is damaged or of another kind"
        )
    system = entries(header[2], "torch.save's system information")
    if system.get("little_endian") is not True:
        raise ModelFileError(
            "the tensors are big-endian; only little-endian files are supported, save it again"
        )

    # The object, with its storages as persistent ids; then the list of their keys.
    pickle = read_pickle(stream, allowed, strict=strict, persistent=True, max_opcodes=max_opcodes)
    declared = declared_storages(pickle.persistent_ids)
    keys = read_pickle(stream, plain, max_opcodes=max_opcodes).root
    if not isinstance(keys, list) or set(map(_text, keys)) != set(declared):
        raise ModelFileError("the list of storages does not match the tensors; the file is damaged")
    if len(keys) != len(declared):
        raise ModelFileError("a storage is listed twice; the file is damaged or hostile")

    return Stream(pickle, _read_storages(data, stream.tell(), [declared[key] for key in keys]))


def _text(key: object) -> str | None:
    return key if isinstance(key, str) else None


def _read_storages(
    data: bytes, position: int, declared: Iterable[StorageId]
) -> dict[str, memoryview]:
    """The bytes of the storages that fill the rest of a stream, each behind its element count."""
    raw = memoryview(data)
    storages = {}

    for storage in declared:
        numel = int.from_bytes(raw[position : position + 8], "little", signed=True)
        position += 8
        if numel != storage.numel or position + storage.nbytes > len(data):
            raise ModelFileError(
                f"a storage declares {storage.numel} elements of {storage.dtype.itemsize} bytes, "
                f"the file has {numel} in {max(len(data) - position, 0)} bytes; "
                "the file is damaged or cut off"
            )
        storages[storage.key] = raw[position : position + storage.nbytes]
        position += storage.nbytes

    if position != len(data):
        raise ModelFileError(
            f"{len(data) - position} bytes follow the last storage; the file is damaged or hostile"
        )
    return storages


def declared_storages(nodes: Iterable[PersistentId]) -> dict[str, StorageId]:
    """The storages that persistent ids declare, by key. Raises ModelFileError when two disagree."""
    declared: dict[str, StorageId] = {}
    for node in nodes:
        storage = storage_id(node)
        if declared.setdefault(storage.key, storage) != storage:
            raise ModelFileError(
                "two tensors disagree about the size of their storage; "
                "the file is damaged or hostile"
            )
    return declared


def check_tensors(pickle: Pickle, storages: Mapping[str, memoryview]) -> None:
    """Raise ModelFileError unless storages have the bytes they declare, and hold all tensors."""
    # Storages.
    for key, storage in declared_storages(pickle.persistent_ids).items():
        size = storages[key].nbytes if key in storages else "none"
        if size != storage.nbytes:
            raise ModelFileError(
                f"a storage declares {storage.nbytes} bytes, the file has {size}; "
                "the file is damaged or hostile"
            )

    # Tensors, each inside its storage.
    for call in pickle.calls:
        if str(call.function) == REBUILD_TENSOR:
            where = view(call, "a tensor")
            check_view(where, storage_id(where.storage).numel, "a tensor")
        elif is_tensor(call) and not (call.args and is_tensor(call.args[0])):
            raise ModelFileError(
                "torch cannot read this file, a parameter in it is no tensor; the file is damaged"
            )


def embedded_stream(node: Call, what: str) -> Stream:
    """The stream in a `_load_from_bytes` node: one storage, and no names but those of storages."""
    content = node.args[0] if len(node.args) == 1 else None
    if not isinstance(content, (bytes, Call)):  # a call of a codec, in protocol 2
        raise ModelFileError(
            f"the storage of {what} holds no bytes; the file is damaged or of another kind"
        )
    data = raw_bytes(content, f"the storage of {what}")
    return read_stream(data, frozenset(STORAGE_DTYPES), max_opcodes=MAX_HEADER_OPCODES)


def tensor_of(
    node: object, what: str, storages: Mapping[str, memoryview], budget: Budget
) -> Tensor:
    """The tensor that a `_rebuild_tensor_v2` node describes, dtype as stored.

    Its storage is one of `storages` or, in a bare pickle, a `_load_from_bytes` node. The result is
    a view with the file's strides into its own copy of the storage.
    """
    where = view(node, what)

    # The storage.
    if isinstance(where.storage, PersistentId):
        storage = storage_id(where.storage)
        raw = storages[storage.key]
    else:
        call_args(where.storage, (LOAD_FROM_BYTES,), f"the storage of {what}")
        assert isinstance(where.storage, Call)
        stream = embedded_stream(where.storage, what)
        storage = storage_id(stream.pickle.root)
        raw = stream.storages[storage.key]

    # The view.
    check_view(where, storage.numel, what)
    if math.prod(where.shape) == 0:
        return torch.empty(where.shape, dtype=storage.dtype)

    # Only what the view spans is copied: many tensors may share one storage.
    itemsize = storage.dtype.itemsize
    steps = zip(where.shape, where.strides, strict=True)
    spanned = 1 + sum((size - 1) * stride for size, stride in steps)
    budget.spend(spanned * itemsize)
    content = bytearray(raw[where.offset * itemsize : (where.offset + spanned) * itemsize])
    return torch.frombuffer(content, dtype=storage.dtype).as_strided(where.shape, where.strides)
