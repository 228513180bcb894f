"""Modules of this project that a file of the user hides, because Python finds that one first."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from invert.errors import ShadowedModuleError

ROOT = Path(__file__).resolve().parents[2]  # where invert, directions, edits and cli.py lie


def require(name: str) -> None:
    """Nothing, if importing `name` gives this project's module.

    Raises :class:`ShadowedModuleError` with both files.
    """
    found = location(name)
    own = own_file(name)
    if found is not None and found.resolve() != own:
        raise ShadowedModuleError(
            f"{found} hides the module {name!r} of invert, {own}; rename that file or folder, "
            "or start Python from elsewhere"
        )


def location(name: str) -> Path | None:
    """The file that `import name` runs, or has run."""
    if name in sys.modules:
        file = sys.modules[name].__file__
        return Path(file) if file else None
    spec = importlib.util.find_spec(name)
    return Path(spec.origin) if spec is not None and spec.origin is not None else None


def own_file(name: str) -> Path:
    """Of a package, its __init__.py."""
    package = ROOT / name / "__init__.py"
    return package if package.exists() else ROOT / f"{name}.py"


def load_own(name: str) -> ModuleType:
    """This project's module of that name, whatever else has it; for a process that is ours."""
    file = own_file(name)
    folders = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=folders)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
