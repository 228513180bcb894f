"""Imports point down: invert ← directions ← edits ← cli."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ["invert", "directions", "edits", "cli"]


def imported(path: Path) -> set[str]:
    """Top-level names of all packages a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_itself_and_those_below(layer: str) -> None:
    files = [ROOT / "cli.py"] if layer == "cli" else sorted((ROOT / layer).rglob("*.py"))
    assert files
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    for path in files:
        assert not imported(path) & above, path


def test_the_help_needs_no_heavy_import() -> None:
    tree = ast.parse((ROOT / "cli.py").read_text(encoding="utf-8"))
    top = {n.module or "" for n in tree.body if isinstance(n, ast.ImportFrom)}
    top |= {alias.name for n in tree.body if isinstance(n, ast.Import) for alias in n.names}
    assert {name.split(".")[0] for name in top} & {"torch", "numpy", "PIL", "tqdm", "sklearn"} == set()
    assert {name for name in top if name.startswith("invert")} == {"invert.errors"}
