"""Torch modules that were pickled whole: class names, `__dict__` and tensors, read from nodes.

A module comes either as an object of its class, whose state is its `__dict__`, or, in the files of
NVIDIA's `torch_utils.persistence`, as a call with the *source code* of its class beside that
`__dict__`. The original loader imports the one and executes the other. Here the class is a name and
the source is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from invert.checkpoints.checkpoint import unsupported
from invert.checkpoints.foreign_names import PERSISTENT_OBJECT
from invert.checkpoints.nodes import Call, Global, call_args, describe, entries, is_mapping, quoted
from invert.errors import ModelFileError

PERSISTENT = f"torch_utils.{PERSISTENT_OBJECT}"
PERSISTENCE_VERSION = 6
MAX_MODULES = 1_000
MAX_ENTRIES = 1_000  # of one module
MAX_NAME = 100  # characters
WRAPPERS = ("module", "_orig_mod")  # what DataParallel and torch.compile call the module they wrap
COUNTERS = ("n_averaged",)  # what AveragedModel keeps beside the module it wraps


@dataclass(frozen=True, eq=False)
class Module:
    """One module of the file."""

    path: str  # dotted, inside the generator
    class_name: str
    source: str | None  # None unless the file has it
    state: Mapping[object, object]  # its `__dict__`

    def entries(self, name: str) -> dict[str, object]:
        """`_parameters`, `_buffers` or `_modules`."""
        what = quoted(f"{self.path or 'G_ema'}.{name}")
        items = entries(self.state.get(name), what)
        named = {k: v for k, v in items.items() if isinstance(k, str) and len(k) <= MAX_NAME}
        if len(named) != len(items) or len(named) > MAX_ENTRIES:
            raise ModelFileError(
                f"{what} has entries that no torch module has; the file is damaged"
            )
        return named

    def children(self) -> Iterator[Module]:
        """The modules right below this one."""
        for name, node in self.entries("_modules").items():
            if node is not None:
                yield module(node, joined(self.path, name))


def joined(path: str, name: str) -> str:
    """The path of a part; wrappers leave no trace in it."""
    if name in WRAPPERS:
        return path
    return f"{path}.{name}" if path else name


def is_module(node: object) -> bool:
    """Whether `module` is meant for this node."""
    if not isinstance(node, Call):
        return False
    state = node.state
    return _is_persistent(node.function) or (
        is_mapping(state) and {"_modules", "_parameters"} <= entries(state, "a state").keys()
    )


def _is_persistent(function: Global) -> bool:
    return f".{function}".endswith(f".{PERSISTENT_OBJECT}")


def module(node: object, path: str) -> Module:
    """The module at a node. Raises ModelFileError for anything else."""
    what = quoted(path) or "G_ema"

    # An object of its class.
    if isinstance(node, Call) and is_module(node) and not _is_persistent(node.function):
        return Module(path, _class_name(node), None, entries(node.state, f"the state of {what}"))

    # A persistent object, with its source code.
    if not (isinstance(node, Call) and _is_persistent(node.function)):
        call_args(node, (PERSISTENT,), what)  # raises
    assert isinstance(node, Call)
    meta = entries(node.args[0] if len(node.args) == 1 else None, f"the description of {what}")
    class_name, source = meta.get("class_name"), meta.get("module_src")
    texts = isinstance(class_name, str) and isinstance(source, str)
    if meta.get("type") != "class" or not texts:
        raise ModelFileError(f"{what} is not described as a class; the file is damaged")
    if meta.get("version") != PERSISTENCE_VERSION:
        raise unsupported(
            f"a persistent object of version {describe(meta.get('version'))} instead of 6"
        )
    return Module(
        path, str(class_name), str(source), entries(meta.get("state"), f"the state of {what}")
    )


def _class_name(node: Call) -> str:
    """The class of a pickled object; the older way to pickle one names it as an argument."""
    if node.function.name == "_reconstructor" and node.args and isinstance(node.args[0], Global):
        return node.args[0].name
    return node.function.name


def walk(root: Module) -> dict[str, Module]:
    """All modules below `root` by path, a wrapped one in its wrapper's place.

    Raises ModelFileError above 1000 of them: a module that contains itself would not end.
    """
    modules: dict[str, Module] = {}
    waiting = [root]
    visited = 0

    while waiting:
        part = waiting.pop()
        visited += 1
        modules[part.path] = part
        waiting.extend(part.children())
        if visited + len(waiting) > MAX_MODULES:
            raise ModelFileError(
                f"the generator has more than {MAX_MODULES} modules; do not trust this file"
            )
    return modules


def tensor_nodes(modules: Mapping[str, Module]) -> dict[str, object]:
    """The parameters and buffers of modules, by dotted name; None entries left out."""
    return {
        joined(path, name): node
        for path, part in modules.items()
        for name, node in (*part.entries("_parameters").items(), *part.entries("_buffers").items())
        if node is not None
    }
