"""A symbolic pickle machine: runs the opcodes of a pickle and imports, constructs and calls
nothing.

`pickle.Unpickler` executes whatever a file names, and restricting `find_class` does not close that:
BUILD still sets attributes on any object that is on the stack. Here a global becomes an inert
`Global`, REDUCE and NEWOBJ become a `Call`, BUILD fills the call's `state`, and the format readers
interpret the nodes they know. A file that would run code in its own loader is refused even where we
would never look (:mod:`foreign_names`); with `strict`, so is one that names anything beyond the
caller's list.

Opcodes of protocols 2 to 5 that CPython's pickler writes for plain data are supported; INST, OBJ,
EXT*, text-mode opcodes and out-of-band buffers are refused before their arguments are decoded.
Opcode syntax: `pickletools` (stdlib).
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from invert.checkpoints.foreign_names import only_builds, reaches_code
from invert.checkpoints.nodes import Call, Global, PersistentId, describe, would_run
from invert.errors import ModelFileError

# A 32 px file with G, D and G_ema has 18 500 opcodes and nests 32 deep; a 1024 px one is 2.3 times
# as long.
MAX_OPCODES = 400_000
MAX_DEPTH = 100
MAX_STACK = 20_000  # unfinished values; pickle writes lists and dicts in batches of 1000
MAX_INTEGER_BITS = 128  # torch's magic number has 78


def _read_names(stream: BinaryIO) -> tuple[str, str]:
    """The two lines of a GLOBAL opcode, as they stand; pickletools would resolve escapes,
    unpicklers do not.
    """
    lines = stream.readline(), stream.readline()
    if not all(line.endswith(b"\n") for line in lines):
        raise ValueError
    return lines[0][:-1].decode(), lines[1][:-1].decode()


# opcode byte -> (name, reader of its argument)
_OPCODES: dict[bytes, tuple[str, Callable[[BinaryIO], Any] | None]] = {
    opcode.code.encode("latin-1"): (
        opcode.name,
        opcode.arg.reader if opcode.arg is not None else None,
    )
    for opcode in pickletools.opcodes
} | {b"c": ("GLOBAL", _read_names)}


@dataclass(frozen=True, eq=False, repr=False)
class Pickle:
    """One pickle as a graph of inert nodes."""

    root: object
    protocol: int
    calls: list[Call]  # every call in the file, in file order
    persistent_ids: list[PersistentId]


def read_pickle(
    stream: BinaryIO,
    allowed: frozenset[str],
    *,
    strict: bool = True,
    persistent: bool = False,
    max_opcodes: int = MAX_OPCODES,
) -> Pickle:
    """The pickle at the stream's position, as nodes; the stream is left behind its STOP.

    `allowed` are the names ("module.name") that are known. Others are refused, or, unless `strict`,
    stay inert where
    they run nothing. `persistent` admits persistent ids. Raises ModelFileError when the stream is
    damaged, names what
    it must not, or exceeds the limits above.
    """
    return _Machine(stream, allowed, strict, persistent).run(max_opcodes)


class _Machine:
    def __init__(
        self, stream: BinaryIO, allowed: frozenset[str], strict: bool, persistent: bool
    ) -> None:
        self.stream = stream
        self.allowed = allowed
        self.strict = strict
        self.persistent = persistent
        self.stack: list = []
        self.outer: list[list] = []  # the stacks below each open MARK
        self.memo: dict[int, object] = {}
        # id -> (depth, value); holding the value keeps its id from being reused
        self.depth: dict[int, tuple[int, object]] = {}
        self.calls: list[Call] = []
        self.persistent_ids: list[PersistentId] = []

    def run(self, max_opcodes: int) -> Pickle:
        protocol = -1
        try:
            for count in range(max_opcodes):
                code = self.stream.read(1)
                if not code:
                    raise ModelFileError("the pickle is cut off; copy or download the file again")
                if code not in _OPCODES:
                    raise ModelFileError(
                        f"byte {code.hex()} is no pickle opcode; the file is damaged"
                    )
                opcode, reader = _OPCODES[code]
                if opcode not in _HANDLERS or (opcode == "BINPERSID" and not self.persistent):
                    raise ModelFileError(
                        f"the pickle uses opcode {opcode}, which no model file needs; do not trust this file"
                    )
                arg: Any = reader(self.stream) if reader is not None else None
                if (opcode == "PROTO") != (count == 0):
                    raise ModelFileError(
                        "the pickle does not start with its protocol; the file is damaged"
                    )
                if opcode == "PROTO":
                    protocol = arg
                    if not 2 <= protocol <= 5:
                        raise ModelFileError(
                            f"pickle protocols 2 to 5 are supported, this is {protocol}"
                        )
                elif opcode == "STOP":
                    return self._finish(protocol)
                else:
                    _HANDLERS[opcode](self, arg)
                    if len(self.stack) > MAX_STACK or len(self.outer) > MAX_DEPTH:
                        raise _too_deep()
        except (ValueError, IndexError, KeyError, OverflowError, EOFError, struct.error):
            # pickletools' readers and stack underflow; the details of a damaged stream help nobody
            raise ModelFileError(
                "the pickle is damaged or cut off; copy or download the file again"
            ) from None
        raise ModelFileError(
            f"the pickle has more than {max_opcodes} opcodes, no model file needs as many; do not trust it"
        )

    def _finish(self, protocol: int) -> Pickle:
        if len(self.stack) != 1 or self.outer:
            raise ModelFileError("the pickle ends with an unfinished object; the file is damaged")
        return Pickle(self.stack[0], protocol, self.calls, self.persistent_ids)

    def _nest(self, container: object, parts: list | tuple) -> None:
        """Record how deep `container` nests now that it holds `parts`."""
        depth = 1 + max(
            (self.depth[id(part)][0] for part in parts if id(part) in self.depth), default=0
        )
        if id(container) in self.depth:
            depth = max(depth, self.depth[id(container)][0])
        if depth > MAX_DEPTH:
            raise _too_deep()
        self.depth[id(container)] = (depth, container)

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def integer(self, value: int) -> None:
        if value.bit_length() > MAX_INTEGER_BITS:
            raise ModelFileError(
                f"the pickle holds an integer of {value.bit_length()} bits; no model file needs one"
            )
        self.push(value)

    def container(self, kind: Callable[[], object]) -> None:
        value = kind()
        self._nest(value, ())
        self.push(value)

    def make_tuple(self, count: int | None) -> None:
        if count is None:
            items = self.pop_to_mark()
        else:
            items = self.stack[-count:]
            if len(items) != count:
                raise IndexError
            del self.stack[-count:]
        value = tuple(items)
        self._nest(value, items)
        self.push(value)

    def extend(self, items: list) -> None:
        target = self.stack[-1]
        elements = target.elements if isinstance(target, Call) else target
        if type(elements) is not list:
            raise ModelFileError(
                f"the pickle appends to {describe(target)}; the file is damaged or hostile"
            )
        elements.extend(items)
        self._nest(target, items)

    def set_items(self, items: list) -> None:
        target = self.stack[-1]
        if len(items) % 2:
            raise IndexError
        if isinstance(target, Call):
            target_items = target.items
        elif type(target) is dict:
            target_items = target
        else:
            raise ModelFileError(
                f"the pickle sets items of {describe(target)}; the file is damaged or hostile"
            )
        for key, value in zip(items[::2], items[1::2], strict=True):
            target_items[_key(key)] = value
        self._nest(target, items[1::2])

    def add_items(self, _: object) -> None:
        items = self.pop_to_mark()
        if type(self.stack[-1]) is not set:
            raise ModelFileError(
                f"the pickle adds to {describe(self.stack[-1])}; the file is damaged or hostile"
            )
        self.stack[-1].update(_key(item) for item in items)

    def frozen_set(self, _: object) -> None:
        self.push(frozenset(_key(item) for item in self.pop_to_mark()))

    def memoize(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def name(self, module: object, name: object) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ModelFileError(
                "the pickle builds a global name from something that is no text; do not trust this file"
            )
        # a dotted name would make "os" + "path.join" look like "os.path" + "join"
        known = "." not in name and f"{module}.{name}" in self.allowed
        if not known and (self.strict or reaches_code(module, name)):
            raise would_run(f"{module}.{name}")
        self.push(Global(module, name))

    def stack_name(self, _: object) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.name(module, name)

    def reduce(self, _: object) -> None:
        function, args = self.stack[-2:]
        proper = isinstance(function, Global) and type(args) is tuple  # else `call` refuses it
        if proper and str(function) not in self.allowed and not only_builds(function, args):
            raise would_run(str(function))
        self.call(None)

    def call(self, _: object) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        if not (isinstance(function, Global) and type(args) is tuple):
            raise ModelFileError(
                f"the pickle calls {describe(function)}; the file is damaged or hostile"
            )
        node = Call(function, args)
        self._nest(node, (args,))
        self.calls.append(node)
        self.push(node)

    def build(self, _: object) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Call) or target.state is not None:
            raise ModelFileError(
                f"the pickle sets the state of {describe(target)}; the file is damaged or hostile"
            )
        target.state = state
        self._nest(target, (state,))

    def persistent_id(self, _: object) -> None:
        pid = self.stack.pop()
        # before torch 1.6, and on request since, a module's class came with the source code of its
        # file
        if (
            type(pid) is tuple
            and len(pid) == 4
            and pid[0] == "module"
            and isinstance(pid[1], Global)
        ):
            self.push(pid[1])
            return
        node = PersistentId(pid)
        self._nest(node, (node.pid,))
        self.persistent_ids.append(node)
        self.push(node)


def _too_deep() -> ModelFileError:
    return ModelFileError(
        f"the pickle nests more than {MAX_DEPTH} objects, too deep for a model file; do not trust it"
    )


def _key(key: object) -> object:
    """`key` if it may be a dict key: hashing a tuple would recurse, and huge integers collide at
    will.
    """
    if (
        key is None
        or isinstance(key, (str, bytes, Global, Call))
        or (isinstance(key, int) and key.bit_length() < 64)
    ):
        return key
    raise ModelFileError(
        f"the pickle uses {describe(key)} as a dict key; the file is damaged or hostile"
    )


_HANDLERS: dict[str, Callable[[_Machine, Any], object]] = {
    # run() sees to the first two
    **dict.fromkeys(("PROTO", "STOP", "FRAME"), lambda machine, arg: None),
    "MARK": _Machine.mark,
    "POP": lambda machine, arg: machine.stack.pop(),
    "POP_MARK": lambda machine, arg: machine.pop_to_mark(),
    "NONE": _Machine.push,  # its argument is None
    "NEWTRUE": lambda machine, arg: machine.push(True),
    "NEWFALSE": lambda machine, arg: machine.push(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "LONG4"), _Machine.integer),
    **dict.fromkeys(
        (
            "BINFLOAT",
            "BINSTRING",
            "SHORT_BINSTRING",
            "BINUNICODE",
            "SHORT_BINUNICODE",
            "BINUNICODE8",
        ),
        _Machine.push,
    ),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _Machine.push),
    "BYTEARRAY8": lambda machine, arg: machine.push(bytes(arg)),
    "EMPTY_LIST": lambda machine, arg: machine.container(list),
    "EMPTY_DICT": lambda machine, arg: machine.container(dict),
    "EMPTY_SET": lambda machine, arg: machine.container(set),
    "EMPTY_TUPLE": lambda machine, arg: machine.push(()),
    "TUPLE": _Machine.make_tuple,  # likewise
    **{f"TUPLE{n}": lambda machine, arg, n=n: machine.make_tuple(n) for n in (1, 2, 3)},  # type: ignore[misc]
    "APPEND": lambda machine, arg: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, arg: machine.extend(machine.pop_to_mark()),
    "SETITEM": lambda machine, arg: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, arg: machine.set_items(machine.pop_to_mark()),
    "ADDITEMS": _Machine.add_items,
    "FROZENSET": _Machine.frozen_set,
    **dict.fromkeys(
        ("BINGET", "LONG_BINGET"), lambda machine, arg: machine.push(machine.memo[arg])
    ),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.memoize),
    "GLOBAL": lambda machine, arg: machine.name(*arg),
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent_id,
}
