"""Draw all figures, or those that are named: python tools/figures/all.py [NAME …] [--quick].

Each is drawn with the generator it is about: its NETWORK, or the one of faces. A figure that fails
does not stop the others; projections that are finished are kept (`projections.py`).
"""

from __future__ import annotations

import importlib
from pathlib import Path

import click
from catalogue import figure_files
from studio import DOCS, FACES, Studio, make, open_studio, options

from invert.errors import InvertError


@click.command()
@click.argument("names", nargs=-1)
@click.option("--missing", is_flag=True, help="Only those that have no picture yet.")
@options
def main(
    names: tuple[str, ...],
    missing: bool,
    out: Path | None,
    quick: bool,
    network: str | None,
    kept: Path,
    packages: Path | None,
) -> None:
    """Draw all figures, or those that are named."""
    known = [path.stem for path in figure_files()]
    if unknown := set(names) - set(known):
        raise click.UsageError(f"unknown figure {min(unknown)}; known: {', '.join(known)}")

    chosen = [name for name in known if not names or name in names]
    if missing:
        chosen = [name for name in chosen if not ((out or DOCS) / f"{name}.jpg").exists()]

    # One after the other; a figure that fails does not end the others.
    studios: dict[str, Studio] = {}
    failed = []
    for name in chosen:
        try:
            figure = importlib.import_module(name)
            needed = str(network or getattr(figure, "NETWORK", FACES))
            if needed not in studios:
                studios[needed] = open_studio(needed, quick, kept, packages)
            click.echo(make(studios[needed], name, figure.draw, out))
        except InvertError as error:
            failed.append(name)
            click.echo(f"{name}: {error}", err=True)
    if failed:
        raise SystemExit(f"{len(failed)} of {len(chosen)} figures failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
