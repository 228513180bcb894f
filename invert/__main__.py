"""The `invert` command, also as `python -m invert`.

Beside a `cli.py`, `directions.py` or `edits.py` of the user the command runs with its own: it takes
them from where this package lies.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run cli.py, which puts all commands together."""
    try:
        from invert.commands.shadowing import load_own

        load_own("directions")
        load_own("edits")
        command = load_own("cli")
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    command.main()


if __name__ == "__main__":
    main()
