"""Which names a pickle may mention beyond those that are interpreted, and which calls only build an
object.

A training file holds objects of many classes, and most are of no use here: they stay inert nodes.
Still, a file that would run code when its own loader opens it is refused, wherever that code
stands. Three rules decide:

- a name out of a module by which code is reached (`os`, `subprocess`, `builtins.eval`, ...) is
  refused at once;
- an object built by its class alone (NEWOBJ) is harmless, whatever the class;
- a call (REDUCE) must be of a function that is known to build data, or of a class outside the
  standard library. A name is a class's when it starts with a capital letter.
"""

from __future__ import annotations

import sys

from invert.checkpoints.nodes import Global

# first parts of modules by which code, files, processes or networks are reached
_REACHING = frozenset(
    {
        *(
            "builtins",
            "__builtin__",
            "sys",
            "types",
            "inspect",
            "gc",
            "atexit",
            "operator",
            "_operator",
            "copyreg",
        ),
        *(
            "copy_reg",
            "importlib",
            "imp",
            "runpy",
            "pkgutil",
            "pydoc",
            "code",
            "codeop",
            "timeit",
            "trace",
            "pdb",
        ),
        *(
            "bdb",
            "cProfile",
            "profile",
            "doctest",
            "unittest",
            "pip",
            "setuptools",
            "distutils",
            "venv",
            "ensurepip",
        ),
        *(
            "os",
            "posix",
            "nt",
            "posixpath",
            "ntpath",
            "io",
            "_io",
            "codecs",
            "_codecs",
            "shutil",
            "tempfile",
            "glob",
        ),
        *(
            "subprocess",
            "_posixsubprocess",
            "commands",
            "pty",
            "multiprocessing",
            "concurrent",
            "threading",
        ),
        *(
            "_thread",
            "asyncio",
            "signal",
            "ctypes",
            "_ctypes",
            "cffi",
            "pickle",
            "_pickle",
            "cPickle",
            "marshal",
        ),
        *(
            "dill",
            "cloudpickle",
            "joblib",
            "socket",
            "_socket",
            "ssl",
            "http",
            "urllib",
            "requests",
            "httpx",
        ),
        *("aiohttp", "ftplib", "smtplib", "telnetlib", "xmlrpc", "webbrowser"),
    }
)

_PLAIN_TYPES = (
    *(
        "set",
        "frozenset",
        "dict",
        "list",
        "tuple",
        "int",
        "float",
        "complex",
        "bool",
        "str",
        "bytes",
    ),
    *("bytearray", "slice", "range", "object"),
)
# calls that build data and do nothing else; names of Python 2 and of older numpy among them
_BUILDING = frozenset(
    {
        *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in _PLAIN_TYPES),
        *(
            f"{module}.{name}"
            for module in ("copyreg", "copy_reg")
            for name in ("_reconstructor", "__newobj__")
        ),
        *(f"{module}.{name}" for module in ("io", "_io") for name in ("BytesIO", "StringIO")),
        *(
            "_codecs.encode",
            "types.SimpleNamespace",
            "functools.partial",
            "logging.getLogger",
            "re._compile",
        ),
        *(
            "argparse.Namespace",
            "array._array_reconstructor",
            "decimal.Decimal",
            "fractions.Fraction",
            "uuid.UUID",
        ),
        *(
            "random.Random",
            "operator.itemgetter",
            "numpy.dtype",
            "numpy.ndarray",
            "numpy.ma.core._mareconstruct",
        ),
        *("pandas._libs.internals._unpickle_block", "pandas.core.indexes.base._new_Index"),
        *(
            "torch.Size",
            "torch.device",
            "torch.serialization._get_layout",
            "torch.storage._load_from_bytes",
        ),
    }
)
_GETATTR = frozenset({"builtins.getattr", "__builtin__.getattr"})
_BUILDING_STARTS = (
    *("collections.", "pathlib.", "datetime.", "zoneinfo.", "torch._utils._rebuild_"),
    *(f"numpy.{core}.{part}." for core in ("core", "_core") for part in ("multiarray", "numeric")),
    "numpy.random._pickle.",
)
# below torch_utils, which forks move about
PERSISTENT_OBJECT = "persistence._reconstruct_persistent_obj"


def reaches_code(module: str, name: str) -> bool:
    """Whether merely to mention `module.name` is a reason to refuse the file."""
    if f"{module}.{name}" in _BUILDING | _GETATTR:
        return False
    parts = module.split(".")
    # a nested class has a dotted name; "os" + "path.join" must not pass for one
    nested = "." in name and not all(_is_class(part) for part in name.split("."))
    return (
        parts[0] in _REACHING
        or nested
        or not all(part.isidentifier() for part in (*parts, *name.split(".")))
    )


def only_builds(function: Global, args: tuple[object, ...]) -> bool:
    """Whether the call `function(*args)` builds an object and runs nothing else, as far as names
    tell.
    """
    name = str(function)
    if name == "torch._tensor._rebuild_from_type_v2":  # calls its first argument
        return (
            bool(args)
            and isinstance(args[0], Global)
            and str(args[0]).startswith("torch._utils._rebuild_")
        )
    if name in _GETATTR:  # of an object: a method or a member; what it gives is never called
        return len(args) == 2 and isinstance(args[1], str) and not args[1].startswith("__")
    if (
        name in _BUILDING
        or name.startswith(_BUILDING_STARTS)
        or name.endswith(f".{PERSISTENT_OBJECT}")
    ):
        return True
    return function.module.split(".")[0] not in sys.stdlib_module_names and _is_class(
        function.name.split(".")[-1]
    )


def _is_class(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()
