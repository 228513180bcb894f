"""What each opcode of a pickle does to the symbolic machine: its stack, its memo and its nodes.

The loop that reads the opcodes is in :mod:`pickle_machine`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invert.checkpoints.foreign_names import only_builds, reaches_code
from invert.checkpoints.nodes import Call, Global, PersistentId, describe, not_needed, would_run
from invert.errors import ModelFileError

MAX_DEPTH = 100  # a generator's file nests 32 deep
MAX_STACK = 20_000  # unfinished values; pickle writes lists and dicts in batches of 1000
MAX_INTEGER_BITS = 128  # torch's magic number has 78


class Machine:
    """The state of a pickle machine that imports, constructs and calls nothing.

    `allowed` are the names ("module.name") that are known; `strict` refuses all others, and without
    it they stay inert where they run nothing.
    """

    def __init__(self, allowed: frozenset[str], strict: bool) -> None:
        self.allowed = allowed
        self.strict = strict
        self.stack: list = []
        self.outer: list[list] = []  # the stacks below each open MARK
        self.memo: dict[int, object] = {}
        # id -> (depth, value); holding the value keeps its id from being reused
        self.depth: dict[int, tuple[int, object]] = {}
        self.calls: list[Call] = []
        self.persistent_ids: list[PersistentId] = []

    def execute(self, opcode: str, arg: Any) -> None:
        """Do what one opcode says. Raises ModelFileError where no model file would say so."""
        HANDLERS[opcode](self, arg)
        if len(self.stack) > MAX_STACK or len(self.outer) > MAX_DEPTH:
            raise _too_deep()

    def result(self) -> object:
        """The object that is left at the end of the pickle."""
        if len(self.stack) != 1 or self.outer:
            raise ModelFileError("the pickle ends with an unfinished object; the file is damaged")
        return self.stack[0]

    def _nest(self, container: object, parts: list | tuple) -> None:
        """Record how deep `container` nests now that it holds `parts`."""
        inner = (self.depth[id(part)][0] for part in parts if id(part) in self.depth)
        depth = 1 + max(inner, default=0)
        if id(container) in self.depth:
            depth = max(depth, self.depth[id(container)][0])
        if depth > MAX_DEPTH:
            raise _too_deep()
        self.depth[id(container)] = (depth, container)

    def push(self, value: object) -> None:
        """Put a value onto the stack."""
        self.stack.append(value)

    def mark(self, _: object) -> None:
        """MARK: begin a new stack."""
        self.outer.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list:
        """The values since the last MARK, and back to the stack below it."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def integer(self, value: int) -> None:
        """BININT, LONG1 and their relatives."""
        if value.bit_length() > MAX_INTEGER_BITS:
            raise ModelFileError(
                f"the pickle holds an integer of {value.bit_length()} bits; no model file needs one"
            )
        self.push(value)

    def container(self, kind: Callable[[], object]) -> None:
        """EMPTY_LIST, EMPTY_DICT, EMPTY_SET."""
        value = kind()
        self._nest(value, ())
        self.push(value)

    def make_tuple(self, count: int | None) -> None:
        """TUPLE1 to TUPLE3; TUPLE, of the values since the last MARK, for None."""
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
        """APPEND and APPENDS."""
        target = self.stack[-1]
        elements = target.elements if isinstance(target, Call) else target
        if type(elements) is not list:
            raise ModelFileError(
                f"the pickle appends to {describe(target)}; the file is damaged or hostile"
            )
        elements.extend(items)
        self._nest(target, items)

    def set_items(self, items: list) -> None:
        """SETITEM and SETITEMS; keys and values alternate."""
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
        """ADDITEMS, of a set."""
        items = self.pop_to_mark()
        if type(self.stack[-1]) is not set:
            raise ModelFileError(
                f"the pickle adds to {describe(self.stack[-1])}; the file is damaged or hostile"
            )
        self.stack[-1].update(_key(item) for item in items)

    def frozen_set(self, _: object) -> None:
        """FROZENSET."""
        self.push(frozenset(_key(item) for item in self.pop_to_mark()))

    def memoize(self, index: int | None) -> None:
        """BINPUT and LONG_BINPUT; MEMOIZE, under the next index, for None."""
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def name(self, module: object, name: object) -> None:
        """GLOBAL: an inert node, unless to mention the name is a reason to refuse the file."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ModelFileError(
                "the pickle builds a global name from something that is no text; "
                "do not trust this file"
            )

        # A dotted name would make "os" + "path.join" look like "os.path" + "join".
        known = "." not in name and f"{module}.{name}" in self.allowed
        if not known and (self.strict or reaches_code(module, name)):
            harmless = not reaches_code(module, name) and only_builds(Global(module, name), ())
            raise (not_needed if harmless else would_run)(f"{module}.{name}")
        self.push(Global(module, name))

    def stack_name(self, _: object) -> None:
        """STACK_GLOBAL."""
        name, module = self.stack.pop(), self.stack.pop()
        self.name(module, name)

    def reduce(self, _: object) -> None:
        """REDUCE: a call, of a function that builds data alone."""
        function, args = self.stack[-2:]
        proper = isinstance(function, Global) and type(args) is tuple  # else `call` refuses it
        if proper and str(function) not in self.allowed and not only_builds(function, args):
            raise would_run(str(function))
        self.call(None)

    def call(self, _: object) -> None:
        """NEWOBJ: a call of a class, which is harmless whatever the class."""
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
        """BUILD: keep the state; nothing is set."""
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Call) or target.state is not None:
            raise ModelFileError(
                f"the pickle sets the state of {describe(target)}; the file is damaged or hostile"
            )
        target.state = state
        self._nest(target, (state,))

    def persistent_id(self, _: object) -> None:
        """BINPERSID: a reference to data outside the pickle."""
        pid = self.stack.pop()

        # Before torch 1.6, and on request since, a module's class came with the source of its file.
        module = type(pid) is tuple and len(pid) == 4 and pid[0] == "module"
        if module and isinstance(pid[1], Global):
            self.push(pid[1])
            return

        node = PersistentId(pid)
        self._nest(node, (node.pid,))
        self.persistent_ids.append(node)
        self.push(node)


def _too_deep() -> ModelFileError:
    return ModelFileError(
        f"the pickle nests more than {MAX_DEPTH} objects, too deep for a model file; "
        "do not trust it"
    )


def _key(key: object) -> object:
    """`key` if it may be a dict's: to hash a tuple would recurse, huge integers collide at will."""
    if key is None or isinstance(key, (str, bytes, Global, Call)):
        return key
    if isinstance(key, int) and key.bit_length() < 64:
        return key
    raise ModelFileError(
        f"the pickle uses {describe(key)} as a dict key; the file is damaged or hostile"
    )


# Of all opcodes but PROTO and STOP, which are the loop's business.
HANDLERS: dict[str, Callable[[Machine, Any], object]] = {
    "FRAME": lambda machine, arg: None,
    "MARK": Machine.mark,
    "POP": lambda machine, arg: machine.stack.pop(),
    "POP_MARK": lambda machine, arg: machine.pop_to_mark(),
    "NONE": Machine.push,  # its argument is None
    "NEWTRUE": lambda machine, arg: machine.push(True),
    "NEWFALSE": lambda machine, arg: machine.push(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "LONG4"), Machine.integer),
    "BINFLOAT": Machine.push,
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), Machine.push),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), Machine.push),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), Machine.push),
    "BYTEARRAY8": lambda machine, arg: machine.push(bytes(arg)),
    "EMPTY_LIST": lambda machine, arg: machine.container(list),
    "EMPTY_DICT": lambda machine, arg: machine.container(dict),
    "EMPTY_SET": lambda machine, arg: machine.container(set),
    "EMPTY_TUPLE": lambda machine, arg: machine.push(()),
    "TUPLE": Machine.make_tuple,  # its argument is None
    "TUPLE1": lambda machine, arg: machine.make_tuple(1),
    "TUPLE2": lambda machine, arg: machine.make_tuple(2),
    "TUPLE3": lambda machine, arg: machine.make_tuple(3),
    "APPEND": lambda machine, arg: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, arg: machine.extend(machine.pop_to_mark()),
    "SETITEM": lambda machine, arg: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, arg: machine.set_items(machine.pop_to_mark()),
    "ADDITEMS": Machine.add_items,
    "FROZENSET": Machine.frozen_set,
    **dict.fromkeys(
        ("BINGET", "LONG_BINGET"), lambda machine, arg: machine.push(machine.memo[arg])
    ),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), Machine.memoize),
    "GLOBAL": lambda machine, arg: machine.name(*arg),
    "STACK_GLOBAL": Machine.stack_name,
    "REDUCE": Machine.reduce,
    "NEWOBJ": Machine.call,
    "BUILD": Machine.build,
    "BINPERSID": Machine.persistent_id,
}
