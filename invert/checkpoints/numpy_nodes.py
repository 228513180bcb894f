"""NumPy arrays and scalars inside pickles: dtype, shape and bytes, read from nodes.

Arrays of objects are refused.
"""

from __future__ import annotations

import math

import numpy as np

from invert.checkpoints.nodes import Call, Global, call_args, describe, quoted
from invert.errors import ModelFileError

# numpy 2 renamed numpy.core; files of either age are about
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
RECONSTRUCT = tuple(f"{module}._reconstruct" for module in _MODULES)
SCALAR = tuple(f"{module}.scalar" for module in _MODULES)
# protocol 5
FROM_BUFFER = tuple(module.replace("multiarray", "numeric") + "._frombuffer" for module in _MODULES)
# what a pickle of plain numpy data may name
GLOBALS = frozenset(
    {*RECONSTRUCT, *SCALAR, *FROM_BUFFER, "numpy.ndarray", "numpy.dtype", "_codecs.encode"}
)

_EMPTY = (Global("__builtin__", "bytes"), Global("builtins", "bytes"))  # protocol 2 of b""
_KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


def dtype(node: object) -> np.dtype:
    """The dtype a `numpy.dtype(name, ...)` node describes; only little-endian numbers."""
    args = call_args(node, ("numpy.dtype",), "an array's type")
    name = args[0] if args else None
    state = node.state if isinstance(node, Call) else None
    if not isinstance(name, str) or name not in _KINDS:
        raise ModelFileError(f"arrays of numbers are supported, this one has type {describe(name)}")
    order = state[1] if isinstance(state, tuple) and len(state) >= 2 else None
    if order not in ("<", "|", "="):
        raise ModelFileError(
            f"little-endian arrays are supported, this one has byte order {describe(order)}"
        )
    return np.dtype(name).newbyteorder("<")


def raw_bytes(value: object, what: str) -> bytes:
    """The bytes at a node, as protocols 2 and 3 and as Python 2 write them."""
    # Protocol 2: a call that encodes text, or that makes no bytes.
    if isinstance(value, Call) and value.function == Global("_codecs", "encode"):
        value = value.args[0] if value.args else None
    elif isinstance(value, Call) and value.function in _EMPTY and not value.args:
        return b""

    # Python 2: text in latin-1.
    if isinstance(value, str):
        try:
            return value.encode("latin-1")
        except UnicodeEncodeError:
            raise ModelFileError(
                f"{what} holds text instead of bytes; the file is damaged"
            ) from None
    if isinstance(value, bytes):
        return value
    raise ModelFileError(
        f"{what} should hold bytes, this is {describe(value)}; the file is damaged"
    )


def array(node: object, what: str) -> np.ndarray:
    """The array or scalar that `node` describes, C-contiguous, in a fresh buffer."""
    # A scalar.
    if isinstance(node, Call) and str(node.function) in SCALAR:
        if len(node.args) != 2:
            raise ModelFileError(f"{what} is no proper numpy scalar; the file is damaged")
        return _from_bytes(node.args[0], node.args[1], (), "C", what)

    # An array of protocol 5.
    if isinstance(node, Call) and str(node.function) in FROM_BUFFER and len(node.args) == 4:
        data, kind, shape, order = node.args
        return _from_bytes(kind, data, _shape(shape, what), "F" if order == "F" else "C", what)

    # An array of earlier protocols: an empty one, and a state that fills it.
    call_args(node, RECONSTRUCT, what)
    state = node.state if isinstance(node, Call) else None
    if not isinstance(state, tuple) or len(state) != 5:
        raise ModelFileError(f"{what} is an array without contents; the file is damaged")
    _, shape, kind, fortran, data = state
    return _from_bytes(kind, data, _shape(shape, what), "F" if fortran is True else "C", what)


def is_array(node: object) -> bool:
    """Whether numpy would make an array of `node`."""
    return isinstance(node, Call) and str(node.function) in (*RECONSTRUCT, *FROM_BUFFER)


def _shape(shape: object, what: str) -> tuple[int, ...]:
    if (
        isinstance(shape, tuple)
        and len(shape) <= 8
        and all(type(size) is int and size >= 0 for size in shape)
    ):
        return shape
    raise ModelFileError(f"{what} has no proper shape; the file is damaged")


def _from_bytes(
    kind: object, data: object, shape: tuple[int, ...], order: str, what: str
) -> np.ndarray:
    element = dtype(kind)
    content = raw_bytes(data, what)
    needed = math.prod(shape) * element.itemsize
    if needed != len(content):
        raise ModelFileError(
            f"{what} of shape {list(shape)} and type {element.name} needs {needed} bytes, "
            f"the file has {len(content)}; the file is damaged"
        )
    values = np.frombuffer(content, dtype=element)
    return values.reshape(shape, order="F" if order == "F" else "C").copy(order="C")


def number(value: object, what: str) -> float:
    """The finite number that `value` is: an int, a float or a numpy scalar."""
    if isinstance(value, Call) and str(value.function) in SCALAR:
        value = array(value, what).item()
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ModelFileError(
        f"{what} should be a number, this is {quoted(describe(value))}; the file is damaged"
    )
