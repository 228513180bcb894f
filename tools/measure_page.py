"""How the code reads, in five numbers: python tools/measure_page.py [--list].

- walls: functions with a body of 15 lines or more (without the docstring) that have no blank line
  and no comment line
- lines over 100 columns
- files in the top level of `invert/`
- circles among modules and among rooms (folders), imports inside functions included
- public modules, classes and functions with a docstring

`--list` also names what is counted.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("invert", "directions", "edits")
MIN_BODY = 15  # lines
MAX_COLUMNS = 100

Function = ast.FunctionDef | ast.AsyncFunctionDef
Graph = dict[str, set[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="name what is counted")
    listed = parser.parse_args().list

    product = [
        ROOT / "cli.py",
        *(p for name in PACKAGES for p in sorted((ROOT / name).rglob("*.py"))),
    ]
    scripts = [p for name in ("tools", "benchmarks") for p in sorted((ROOT / name).rglob("*.py"))]
    tests = sorted((ROOT / "tests").rglob("*.py"))

    # Functions without a paragraph.
    long, walls = count_walls(product)
    print(f"walls                {len(walls)} of {long} long functions ({len(walls) / long:.1%})")
    show(walls, listed)

    # Lines that are too wide, in every file that people read.
    wide = [f"{place(p)}:{k}" for p in [*product, *scripts, *tests] for k in wide_lines(p)]
    print(f"lines over {MAX_COLUMNS}       {len(wide)}")
    show(wide, listed)

    # The ground floor.
    files = [place(p) for p in sorted((ROOT / "invert").glob("*.py"))]
    print(f"files in invert/     {len(files)}")
    show(files, listed)

    # Imports that go round.
    modules = import_graph(product)
    for what, graph in (("module", modules), ("room", rooms_of(modules))):
        found = [" -> ".join(circle) for circle in circles(graph)]
        print(f"{what} circles".ljust(20), len(found))
        show(found, listed)

    # Docstrings.
    public, bare = count_docstrings(product)
    print(f"docstrings           {1 - len(bare) / public:.1%} of {public} public objects")
    show(bare, listed)


def show(lines: list[str], listed: bool) -> None:
    for line in lines if listed else ():
        print("   ", line)


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions_in(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def count_walls(paths: list[Path]) -> tuple[int, list[str]]:
    """(number of long functions, the places of those without a blank or comment line)."""
    long, walls = 0, []

    for path in paths:
        breaks = paragraph_breaks(path.read_text(encoding="utf-8"))
        for function in functions_in(path):
            body = function.body[1:] if ast.get_docstring(function) is not None else function.body
            if not body or function.end_lineno is None:
                continue
            first, last = body[0].lineno, function.end_lineno
            if last - first + 1 < MIN_BODY:
                continue
            long += 1
            if not any(first <= line <= last for line in breaks):
                walls.append(
                    f"{place(path)}:{function.lineno} {function.name}, {last - first + 1} lines"
                )

    return long, walls


def paragraph_breaks(source: str) -> set[int]:
    """Numbers of the lines that are blank or hold nothing but a comment; none inside a string."""
    inside: set[int] = set()
    comments: set[int] = set()
    lines = source.splitlines()

    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING:
            inside.update(range(token.start[0], token.end[0] + 1))
        elif token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip():
            comments.add(token.start[0])

    blank = {k for k, line in enumerate(lines, 1) if not line.strip() and k not in inside}
    return blank | comments


def wide_lines(path: Path) -> list[int]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [k for k, line in enumerate(lines, 1) if len(line) > MAX_COLUMNS]


def import_graph(paths: list[Path]) -> Graph:
    """Which module imports which, also inside functions, but not under TYPE_CHECKING."""
    names = {module_name(path): path for path in paths}
    return {name: set(imports_of(path, names)) - {name} for name, path in names.items()}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, known: dict[str, Path]) -> Iterator[str]:
    stack: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        stack.extend(ast.iter_child_nodes(node))

        if isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def rooms_of(modules: Graph) -> Graph:
    """The same arrows between rooms: folders of a package, and the files beside them."""

    def room(name: str) -> str:
        return ".".join(name.split(".")[:2])

    graph: Graph = {}
    for name, targets in modules.items():
        graph.setdefault(room(name), set()).update(
            room(t) for t in targets if room(t) != room(name)
        )
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """The groups of names that reach each other, each sorted."""
    reach: Graph = {}
    for start in graph:
        seen: set[str] = set()
        stack = [*graph[start]]
        while stack:
            name = stack.pop()
            if name not in seen:
                seen.add(name)
                stack.extend(graph.get(name, ()))
        reach[start] = seen

    groups = {
        frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in graph if a in reach[a]
    }
    return sorted(sorted(group) for group in groups)


def count_docstrings(paths: list[Path]) -> tuple[int, list[str]]:
    """(number of public objects, the places of those without a docstring)."""
    public, bare = 0, []

    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        owners: list[ast.Module | ast.ClassDef] = [
            tree,
            *(n for n in tree.body if isinstance(n, ast.ClassDef)),
        ]
        inner = [
            n for owner in owners for n in owner.body if isinstance(n, (ast.ClassDef, Function))
        ]
        for node in [tree, *(n for n in inner if not n.name.startswith("_"))]:
            if is_overload(node):
                continue  # the function itself has the docstring
            public += 1
            if ast.get_docstring(node) is None:
                bare.append(
                    f"{place(path)}:{getattr(node, 'lineno', 1)} {getattr(node, 'name', 'module')}"
                )

    return public, bare


def is_overload(node: ast.AST) -> bool:
    """Whether it is one of a function's signatures, for type checkers."""
    decorators = node.decorator_list if isinstance(node, Function) else []
    return any(isinstance(d, ast.Name) and d.id == "overload" for d in decorators)


if __name__ == "__main__":
    main()
