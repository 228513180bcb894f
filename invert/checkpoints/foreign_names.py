"""Which names a pickle may mention beyond those that are interpreted, and what it may call.

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

# First parts of modules by which code, files, processes or networks are reached.
_REACHING_MODULES = """
    builtins __builtin__ sys types inspect gc atexit operator _operator copyreg copy_reg
    importlib imp runpy pkgutil pydoc code codeop timeit trace pdb bdb cProfile profile
    doctest unittest pip setuptools distutils venv ensurepip
    os posix nt posixpath ntpath io _io codecs _codecs shutil tempfile glob
    subprocess _posixsubprocess commands pty multiprocessing concurrent threading _thread asyncio
    signal ctypes _ctypes cffi pickle _pickle cPickle marshal dill cloudpickle joblib
    socket _socket ssl http urllib requests httpx aiohttp ftplib smtplib telnetlib xmlrpc webbrowser
"""
_REACHING = frozenset(_REACHING_MODULES.split())

# Calls that build data and do nothing else; names of Python 2 and of older numpy among them.
_PLAIN_TYPES = """
    set frozenset dict list tuple int float complex bool str bytes bytearray slice range object
"""
_BUILDING_CALLS = """
    copyreg._reconstructor copyreg.__newobj__ copy_reg._reconstructor copy_reg.__newobj__
    io.BytesIO io.StringIO _io.BytesIO _io.StringIO
    _codecs.encode types.SimpleNamespace functools.partial logging.getLogger re._compile
    argparse.Namespace array._array_reconstructor decimal.Decimal fractions.Fraction uuid.UUID
    random.Random operator.itemgetter
    numpy.dtype numpy.ndarray numpy.ma.core._mareconstruct
    pandas._libs.internals._unpickle_block pandas.core.indexes.base._new_Index
    torch.Size torch.device torch.serialization._get_layout torch.storage._load_from_bytes
"""
_BUILDING = frozenset(
    _BUILDING_CALLS.split()
    + [f"{m}.{name}" for m in ("builtins", "__builtin__") for name in _PLAIN_TYPES.split()]
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

    # A nested class has a dotted name; "os" + "path.join" must not pass for one.
    nested = "." in name and not all(_is_class(part) for part in name.split("."))
    proper = all(part.isidentifier() for part in (*parts, *name.split(".")))
    return parts[0] in _REACHING or nested or not proper


def only_builds(function: Global, args: tuple[object, ...]) -> bool:
    """Whether `function(*args)` builds an object and runs nothing else, as far as names tell."""
    name = str(function)

    # Calls its first argument.
    if name == "torch._tensor._rebuild_from_type_v2":
        target = args[0] if args else None
        return isinstance(target, Global) and str(target).startswith("torch._utils._rebuild_")

    # A method or a member of an object; what it gives is never called.
    if name in _GETATTR:
        return len(args) == 2 and isinstance(args[1], str) and not args[1].startswith("__")

    # Functions that are known, then classes outside the standard library.
    known = name in _BUILDING or name.startswith(_BUILDING_STARTS)
    if known or name.endswith(f".{PERSISTENT_OBJECT}"):
        return True
    standard = function.module.split(".")[0] in sys.stdlib_module_names
    return not standard and _is_class(function.name.split(".")[-1])


def _is_class(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()
