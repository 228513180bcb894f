"""Write docs/reproduction.md from the figures that were drawn: python tools/figures/page.py.

What a paper states is in the docstring of each figure's script, what we found in its JSON file; no
number is typed here. Figures without a JSON file, or with one of a quick run, are listed as not yet
run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from catalogue import description, figure_files
from editing import edit_mark
from projections import defaults_mark

DOCS = Path("docs")
PAGE = "reproduction.md"
FIGURES = "figures"
DIGITS = 3  # significant ones that are shown

INTRODUCTION = """# Figures of [S] and [A], drawn with our generators

There is one script per figure of M. Sypetkowski, *Spatial Latent Representations in Generative
Adversarial Networks for Image Generation* ([S], chapters 4 to 7), and per figure that we redraw
from the supplement of *Deep Automodulators* ([A]). Figures of what goes beyond [S] come last.
Most use `ffhq-mobile`, the example portrait and faces generated from seeds; faces replace the
churches and the photographs of other people in [S]. `ffhq-mobile` has no RGB sum, so its spaces
have no R_i. Four figures are drawn again with the landscapes of `earth-64` and `earth-64-plain`:
small generators of 64 px that have one, and come with the package.

Distances are ST-LPIPS, which differs from the LPIPS of [S]: compare ratios, not values. The
scripts of figures 6.2, 6.3, 6.9, 7.8 and 7.10 measure LPIPS too; a table without it is of an
earlier run.

`python tools/figures/page.py` writes this page from the JSON files beside the pictures.
`python tools/figures/all.py --packages FOLDER` draws all figures, where FOLDER holds the face
networks (`tools/label_faces.mjs` says how to install them). Every script takes `--quick`."""

EARLIER = (
    "*Drawn with an earlier encoder, earlier default settings or earlier edits; "
    "a new run gives other numbers.*"
)


def page(folder: Path) -> str:
    """The text of the page for the figures in `folder`."""
    parts = [INTRODUCTION]
    missing = []
    for script in figure_files():
        heading, text = description(script)
        record = read_record(folder / f"{script.stem}.json")
        if record is None:
            missing.append(f"* {heading}: `{command(script)}`")
        parts.append(section(script, heading, text, record))
    if missing:
        parts.insert(1, "\n".join(["Not yet run:", "", *missing]))
    return "\n\n".join(parts) + "\n"


def read_record(path: Path) -> Mapping[str, Any] | None:
    """What a figure's JSON file holds; None where there is none, or only that of a quick run."""
    if not path.exists():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    return None if record["quick"] else record


def command(script: Path) -> str:
    return f"python tools/figures/{script.name}"


def section(script: Path, heading: str, text: str, record: Mapping[str, Any] | None) -> str:
    parts = [f"## {heading}", text, f"`{command(script)}`"]
    if record is None:
        return "\n\n".join([*parts, "*Not yet run.*"])
    parts.append(f"![{heading}]({FIGURES}/{script.stem}.jpg)")
    if record["projected with"] not in (None, defaults_mark()) or record["edited with"] not in (
        None,
        edit_mark(),
    ):
        parts.append(EARLIER)
    if record["rows"]:
        parts.append(table(record["rows"]))
    if record["findings"]:
        parts.append(table([finding(f) for f in record["findings"]]))
    return "\n\n".join(parts)


def finding(record: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table that compares what should be with what is."""
    bounds = [
        f"{sign} {record[key]:g}"
        for key, sign in (("at_least", "≥"), ("at_most", "≤"))
        if record[key] is not None
    ]
    verdict = {None: "", True: "holds", False: "**differs**"}[record["holds"]]
    return {
        "": record["what"],
        "ours": record["value"],
        "expected": " and ".join(bounds),
        " ": verdict,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of rows; its columns are all keys, in order of first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(row.get(column)) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def cell(value: Any) -> str:
    """A value as text: floats with three significant digits, nothing for null."""
    if value is None:
        return ""
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)


@click.command()
@click.option(
    "--docs", type=click.Path(path_type=Path, file_okay=False), default=DOCS, show_default=True
)
def main(docs: Path) -> None:
    """Write DOCS/reproduction.md from DOCS/figures."""
    path = docs / PAGE
    path.write_text(page(docs / FIGURES), encoding="utf-8")
    click.echo(path)


if __name__ == "__main__":
    main()
