"""Pickles written from inert nodes: the inverse of the symbolic machine, for building odd and
hostile files.
"""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path

import torch
from torch import Tensor

from invert.checkpoints import stylegan2_ada, stylegan2_tf
from invert.checkpoints.nodes import Call, Global, PersistentId
from invert.checkpoints.pickle_machine import read_pickle

FIXTURES = Path(__file__).parent / "fixtures"
ALLOWED = stylegan2_ada.GLOBALS | stylegan2_tf.GLOBALS


class Raw(bytes):
    """Opcodes to copy as they are."""


def write_pickle(value: object, protocol: int = 4) -> bytes:
    """A whole pickle; names are GLOBAL opcodes below protocol 4 and STACK_GLOBAL from there on."""
    return b"\x80" + bytes([protocol]) + encode(value, protocol) + b"."


def encode(value: object, protocol: int = 4) -> bytes:
    """The opcodes that leave `value` on the stack; containers are written flat, shared ones several
    times.
    """

    def many(values: object) -> bytes:
        return b"".join(encode(item, protocol) for item in values)

    if isinstance(value, Raw):
        return bytes(value)
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        size = value.bit_length() // 8 + 1
        return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        return b"X" + struct.pack("<I", len(text)) + text
    if isinstance(value, bytes):
        return b"B" + struct.pack("<I", len(value)) + value
    if isinstance(value, tuple):
        return b"(" + many(value) + b"t"
    if isinstance(value, list):
        return b"](" + many(value) + b"e"
    if isinstance(value, set):
        return b"\x8f(" + many(value) + b"\x90"
    if isinstance(value, dict):
        return b"}(" + b"".join(many(item) for item in value.items()) + b"u"
    if isinstance(value, Global):
        if protocol < 4:
            return f"c{value.module}\n{value.name}\n".encode()
        return encode(value.module) + encode(value.name) + b"\x93"
    if isinstance(value, PersistentId):
        return encode(value.pid, protocol) + b"Q"
    assert isinstance(value, Call), value
    code = encode(value.function, protocol) + encode(value.args, protocol) + b"R"
    if value.items:
        code += b"(" + b"".join(many(item) for item in value.items.items()) + b"u"
    return code if value.state is None else code + encode(value.state, protocol) + b"b"


def call(name: str, *args: object, state: object = None) -> Call:
    module, _, function = name.rpartition(".")
    return Call(Global(module, function), args, state)


def node_of(value: object, protocol: int = 4) -> object:
    """What the machine makes of `value` as Python itself pickles it."""
    return read_pickle(io.BytesIO(pickle.dumps(value, protocol)), ALLOWED).root


def root_of(name: str) -> object:
    """The nodes of a fixture, free to be changed."""
    with (FIXTURES / name).open("rb") as file:
        return read_pickle(file, ALLOWED).root


def tensor_node(tensor: Tensor) -> Call:
    """`tensor` as StyleGAN2-ADA-PyTorch files hold it, strides and offset included."""
    typed = torch.storage.TypedStorage(
        wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True
    )
    stream = io.BytesIO()
    torch.save(typed, stream, _use_new_zipfile_serialization=False)
    storage = call("torch.storage._load_from_bytes", stream.getvalue())
    hooks = call("collections.OrderedDict")
    where = (tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()))
    return call("torch._utils._rebuild_tensor_v2", storage, *where, False, hooks)


def ada_state(root: object, *path: str) -> dict:
    """The `__dict__` of a module of G_ema, such as `("synthesis", "b8", "conv0")`, free to be
    changed.
    """
    node = root["G_ema"]
    state = node.args[0]["state"]
    for name in path:
        state = as_dict(state["_modules"])[name].args[0]["state"]
    return state


def as_dict(node: object) -> dict:
    return node.items if isinstance(node, Call) else node
