"""The `invert` command, also as `python -m invert`.

Beside a `cli.py`, `directions.py` or `edits.py` of the user the command runs with its own: it takes
them from where this package lies.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys

# New objects between two looks of the garbage collector; Python's 700 has it walk through all
# that an import makes again and again, a tenth of the time that torch's takes.
COLLECT_AFTER = 50_000


def main() -> None:
    """Run cli.py, which puts all commands together, and end the process."""
    gc.set_threshold(COLLECT_AFTER, 20, 20)
    try:
        from invert.commands.shadowing import load_own

        load_own("directions")
        load_own("edits")
        command = load_own("cli")
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)

    try:
        command.main()
    except SystemExit as stop:
        if not isinstance(stop.code, int):
            raise
        leave(stop.code)


def leave(code: int) -> None:
    """End the process after what is registered for its end, without taking its objects apart.

    Python would free all that torch has made one by one, for a tenth to a quarter of the time that
    a command takes; the system frees it at once.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
