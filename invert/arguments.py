"""Numbers that callers give, of Python, numpy or torch: each is in its range, or a sentence says
which one that is.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from invert.errors import UsageError

MAX_SEED = 2**32 - 1  # numpy takes no larger one, and torch's CPU generator reads no more bits
MAX_PIXELS = 64_000_000  # width × height of a picture, read or made
MAX_PSI = 10.0  # of truncation: what lies further from the mean w is no picture


def check_number(name: str, value: Any, low: float, high: float) -> float:
    """The value as a float. Raises :class:`UsageError` outside [low, high]; NaN is outside."""
    try:
        number = math.nan if isinstance(scalar(value), (bool, str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last: tensors of many values
        number = math.nan
    if not low <= number <= high:
        if high == sys.float_info.max:
            raise UsageError(f"{name} is a finite number, got {value!r}")
        raise UsageError(f"{name} is a number in [{low:g}, {high:g}], got {value!r}")
    return number


def check_integer(name: str, value: Any, low: int, high: int) -> int:
    """The value as an int. Raises :class:`UsageError` unless it is whole and in [low, high]."""
    number = whole(value)
    if number is None or not low <= number <= high:
        raise UsageError(f"{name} is an integer in [{low}, {high}], got {value!r}")
    return number


def check_integers(name: str, values: Any, parts: str) -> tuple[int, ...]:
    """As many ints as `parts` names, such as "x, y", from any sequence of that many integers.

    Raises :class:`UsageError` for anything else.
    """
    listed = list(values) if isinstance(values, Iterable) else []
    numbers = [number for number in map(whole, listed) if number is not None]
    if not len(numbers) == len(listed) == len(parts.split(",")):
        raise UsageError(f"{name}: expected ({parts}) in whole numbers, got {values!r}")
    return tuple(numbers)


def check_seed(seed: Any) -> int:
    """The seed as an int. Raises :class:`UsageError` unless it is whole and in [0, 2³² − 1]."""
    return check_integer("seed", seed, 0, MAX_SEED)


def check_seeds(seeds: Any) -> list[int]:
    """Seeds as ints, from one or several. Raises :class:`UsageError` for others, and for none."""
    listed = [seeds] if whole(seeds) is not None or not isinstance(seeds, Iterable) else list(seeds)
    numbers = [whole(seed) for seed in listed]
    wrong = [s for s, n in zip(listed, numbers, strict=True) if n is None or not 0 <= n <= MAX_SEED]
    if wrong or not listed:
        came = repr(wrong[0]) if wrong else "none"
        raise UsageError(f"seeds are integers in [0, {MAX_SEED}], got {came}")
    return [n for n in numbers if n is not None]


def check_psi(psi: Any) -> float:
    """The truncation of W. Raises :class:`UsageError` outside [−10, 10] and for NaN."""
    return check_number("psi", psi, -MAX_PSI, MAX_PSI)


def whole(value: Any) -> int | None:
    """A Python, numpy or torch integer as an int; None for what is none."""
    if isinstance(scalar(value), bool):
        return None
    try:
        return int(value.__index__())
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return None


def scalar(value: Any) -> Any:
    """The Python value of a numpy or torch scalar; anything else as it is."""
    return value.item() if getattr(value, "shape", None) == () else value


def plain(value: Any) -> Any:
    """Mappings as dicts, sequences as lists, and in them the Python values of numpy and torch
    scalars: what `json.dumps` can write, where there is nothing else inside.

    Raises RecursionError for what holds itself.
    """
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return scalar(value)


def check_kinds(settings: Any) -> None:
    """Raise :class:`UsageError` unless the fields of a dataclass are what they are declared to be.

    Integers are whole, floats are finite numbers, flags are True or False; other kinds are left to
    the class. Numbers of numpy and torch become Python's: settings are written to files.
    """
    for field in dataclasses.fields(settings):
        value, kind = getattr(settings, field.name), str(field.type)
        if value is None and "None" in kind:
            continue
        kind = kind.removesuffix(" | None")

        number: Any = scalar(value)
        if kind == "int" and (number := whole(value)) is None:
            raise UsageError(f"{field.name} is an integer, got {value!r}")
        if kind == "float":
            number = check_number(field.name, value, -sys.float_info.max, sys.float_info.max)
        if kind == "bool" and not isinstance(number, bool):
            raise UsageError(f"{field.name} is True or False, got {value!r}")
        if kind == "str" and not isinstance(value, str):
            raise UsageError(f"{field.name} is a name, got {value!r}")
        if kind in ("int", "float", "bool"):
            object.__setattr__(settings, field.name, number)
