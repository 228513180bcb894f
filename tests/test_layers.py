"""Imports point down: invert ← directions ← edits ← cli."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import sys
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


@pytest.mark.parametrize(
    "path",
    [ROOT / "cli.py", *sorted(p for layer in LAYERS for p in ROOT.glob(f"{layer}/commands/*.py"))],
    ids=lambda p: p.stem,
)
def test_a_module_of_commands_has_light_imports_at_the_top(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {n.module or "" for n in tree.body if isinstance(n, ast.ImportFrom)}
    top |= {alias.name for n in tree.body if isinstance(n, ast.Import) for alias in n.names}
    ours = {name for name in top if name.split(".")[0] in LAYERS}
    assert {name for name in ours if ".commands." not in name} <= {"invert.errors"}
    assert {name.split(".")[0] for name in top - ours} <= {*sys.stdlib_module_names, "click"}


def test_setup_cfg_names_every_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = {p.parent for layer in LAYERS[:-1] for p in (ROOT / layer).rglob("*.py")}
    packages = {folder.relative_to(ROOT).as_posix().replace("/", ".") for folder in folders}
    assert set(setup["options"]["packages"].split()) == packages


def test_rooms_import_each_other_in_one_direction() -> None:
    spec = importlib.util.spec_from_file_location("measure_page", ROOT / "tools/measure_page.py")
    assert spec is not None
    assert spec.loader is not None
    measure_page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(measure_page)
    paths = sorted(path for layer in LAYERS[:-1] for path in (ROOT / layer).rglob("*.py"))
    modules = measure_page.import_graph(paths)
    assert len(modules) > 100
    assert measure_page.circles(measure_page.rooms_of(modules)) == []
