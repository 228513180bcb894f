"""The JSON-like part of untrusted values, for `Checkpoint.details`."""

from __future__ import annotations

import math

from invert.checkpoints.checkpoint import JSON
from invert.checkpoints.nodes import Call, entries, is_mapping
from invert.checkpoints.numpy_nodes import SCALAR, number
from invert.errors import ModelFileError

MAX_VALUES = 2_000
MAX_DEPTH = 8
MAX_TEXT = 1_000


def json_details(value: object) -> JSON:
    """`value` without what JSON cannot say: entries of dicts are left out, items become None.

    At most 2 000 values and 8 levels are taken, since shared containers can make a small file an
    endless tree.
    """
    return _Copy().json(value, MAX_DEPTH)


class _Copy:
    def __init__(self) -> None:
        self.left = MAX_VALUES

    def json(self, value: object, depth: int) -> JSON:
        """The copy of a value, at most `depth` containers deep."""
        self.left -= 1

        # Plain values, and numpy scalars.
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if value.bit_length() < 64 else None
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if isinstance(value, str):
            # lone surrogates are no JSON
            return value[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()
        if isinstance(value, Call) and str(value.function) in SCALAR:
            try:
                return number(value, "a scalar")
            except ModelFileError:
                return None

        # Containers.
        if depth == 0 or self.left <= 0:
            return None
        if is_mapping(value):
            return self.mapping(entries(value, "a setting"), depth - 1)
        if isinstance(value, (list, tuple)):
            return [self.json(item, depth - 1) for item in value[: max(self.left, 0)]]
        return None

    def mapping(self, value: dict[object, object], depth: int) -> dict[str, JSON]:
        """The copy of a dict: its entries with names, of what JSON can say."""
        copy = {}
        for key, item in value.items():
            if self.left <= 0:
                break
            if not isinstance(key, str):
                continue
            entry = self.json(item, depth)
            if entry is not None or item is None:
                copy[self.json(key, 0)] = entry
        return copy
