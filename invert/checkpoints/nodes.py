"""Inert stand-ins for what a pickle asks Python to import, build or call.

The pickle machine produces them, the format readers interpret the few they know. Creating,
comparing or dropping a node runs no code of the file: a global is two strings, a call is a record
of what would have been called.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from invert.errors import ModelFileError


@dataclass(frozen=True)
class Global:
    """The name of a function or class; never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, repr=False)
class Call:
    """`function(*args)`, never called, and what later opcodes would have done to its result."""

    function: Global
    args: tuple[object, ...]
    state: object = None  # of BUILD
    items: dict[object, object] = field(default_factory=dict)  # of SETITEMS
    elements: list[object] = field(default_factory=list)  # of APPENDS


@dataclass(eq=False, repr=False)
class PersistentId:
    """A reference out of the pickle: torch's `('storage', type, key, device, numel, ...)`."""

    pid: object


# Subclasses of dict are pickled as a call, then SETITEMS. These two are dicts even when empty.
_MAPPINGS = frozenset({Global("collections", "OrderedDict"), Global("dnnlib.util", "EasyDict")})


def quoted(text: str) -> str:
    """`text` from an untrusted file, fit for a message: printable ASCII, at most 80 long."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")[1:-1]


def describe(value: object) -> str:
    """One phrase for an untrusted value, without walking into it."""
    if isinstance(value, Call):
        return f"a {quoted(str(value.function))} object"
    if isinstance(value, Global):
        return f"the name {quoted(str(value))}"
    if isinstance(value, str):
        return f"'{quoted(value)}'"
    if value is None or isinstance(value, (bool, int, float)):
        return quoted(repr(value))
    if isinstance(value, (tuple, list, dict, bytes)):
        return f"a {type(value).__name__} of length {len(value)}"
    return f"a {type(value).__name__}"


def is_mapping(value: object) -> bool:
    """Whether `entries` accepts `value`."""
    if isinstance(value, Call):
        return bool(value.items) or (value.function in _MAPPINGS and not value.args)
    return isinstance(value, dict)


def entries(value: object, what: str) -> dict[object, object]:
    """The dict that `value` is, of whatever subclass. `what` names it in the error."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Call) and is_mapping(value):
        return value.items
    raise ModelFileError(
        f"{what} should be a dict, this is {describe(value)}; "
        "the file is damaged or of another kind"
    )


def settings(value: object) -> dict[object, object]:
    """The settings in a dict, or in an object such as an `argparse.Namespace`; {} for others."""
    if isinstance(value, Call) and not is_mapping(value):
        value = value.state
    return entries(value, "settings") if is_mapping(value) else {}


def would_run(name: str) -> ModelFileError:
    """The error for a name by which a file would run code."""
    return ModelFileError(
        f"the pickle names {quoted(name)}, which this kind of file does not need; "
        "it was not imported, do not trust this file"
    )


def not_needed(name: str) -> ModelFileError:
    """The error for a name that runs nothing, in a file of plain tensors and data."""
    return ModelFileError(
        f"the pickle names {quoted(name)}, which this kind of file does not need; "
        "it was not imported; `invert info` tells what the file is"
    )


def foreign(node: object, what: str) -> ModelFileError | None:
    """The error for an object of an unknown class where one is needed; None for data."""
    function = node.function if isinstance(node, Call) else node
    if not isinstance(function, Global):
        return None
    return ModelFileError(
        f"{what}: the pickle names {quoted(str(function))}, which this kind of file does not need; "
        "it was not imported; save the state_dict of the generator instead"
    )


def call_args(value: object, names: tuple[str, ...], what: str) -> tuple[object, ...]:
    """The arguments of a call to one of `names` ("module.name"). `what` names it in the error."""
    if isinstance(value, Call) and str(value.function) in names:
        return value.args
    raise ModelFileError(
        f"{what} should be built by {names[0]}, this is {describe(value)}; "
        "the file is damaged or of another kind"
    )
