"""Many inputs of one command: what fails is named, and does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from invert.commands.terminal import say
from invert.errors import InvertError, refused_file

SOME_FAILED = 6  # exit code
OUT_OF_MEMORY = "out of memory; use a smaller image or another --device"


@dataclass
class Batch:
    """Counts which of `total` inputs failed; `what` names them in the plural.

    The error of a single input is raised as it is.
    """

    total: int
    what: str
    failures: int = 0

    @contextmanager
    def attempt(self, name: object) -> Iterator[None]:
        """Print and count an error inside the block, out of memory and files that the system
        refuses included.
        """
        from invert.hardware.memory import free_memory, is_out_of_memory

        try:
            yield
            return
        except Exception as error:
            memory, refusal = is_out_of_memory(error), refused_file(error)
            expected = memory or refusal or isinstance(error, InvertError)
            if self.total == 1 or not expected:
                raise
            reason = OUT_OF_MEMORY if memory else refusal or str(error)

        # The exception is gone, and with it what its frames held.
        if reason == OUT_OF_MEMORY:
            free_memory()
        self.failures += 1
        say(f"error: {reason if str(name) in reason else f'{name}: {reason}'}", err=True)

    def finish(self) -> None:
        """Print how many failed, and exit with code 6 if any did."""
        if self.failures:
            say(f"{self.failures} of {self.total} {self.what} failed", err=True)
            raise SystemExit(SOME_FAILED)
