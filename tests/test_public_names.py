"""The packages show their public names before they import them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

PACKAGES = ("invert", "directions", "edits")


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_shown_before_their_first_use(package: str) -> None:
    code = (
        f"import sys, {package} as p\n"
        "assert p.__all__ and set(p.__all__) <= set(dir(p)), dir(p)\n"
        "assert not {'torch', 'numpy', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_name_is_what_its_module_has(package: str) -> None:
    module = import_module(package)
    assert sorted(module.HOMES) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is getattr(import_module(module.HOMES[name]), name)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = module.nothing
