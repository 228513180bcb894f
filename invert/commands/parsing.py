"""What users type into options, as values. Everything here raises :class:`UsageError` with what was
expected.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from invert.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from invert.projection.framing import Crop

Point = int | Path  # a seed, or a latent file
MAX_SEEDS = 1_000_000  # in one range
SEEDS = re.compile(r"\d+(-\d+)?")
STYLES = re.compile(r"(\d+)-(\d+)")


def parse_styles(text: str) -> str | tuple[int, int]:
    """(0, 8) from '0-7', whose ends are both included; a name stays a name."""
    match = STYLES.fullmatch(text)
    return (int(match[1]), int(match[2]) + 1) if match else text


def styles_of_layers(text: str) -> str:
    """'0-7' from '0-8': the value of --styles for one of --layers, its old name."""
    match = STYLES.fullmatch(text)
    return f"{match[1]}-{int(match[2]) - 1}" if match else text


def parse_strip(text: str) -> list[float]:
    """[-3, -2, …, 3] from '-3:3:7'."""
    try:
        first, last, count = text.split(":")
        low, high, n = float(first), float(last), int(count)
    except ValueError:
        raise UsageError(f"expected --strip first:last:count like -3:3:7, got {text!r}") from None
    check_range("the count of --strip", n, 2, 100)
    return [low + (high - low) * k / (n - 1) for k in range(n)]


def parse_integers(option: str, names: str, text: str) -> list[int]:
    """[2, -4] from '2,-4', for an option like --at with the names 'x,y'."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != len(names.split(",")):
        raise UsageError(f"expected {option} {names} in whole numbers, got {text!r}")
    return numbers


def parse_shift(text: str) -> tuple[int, int]:
    """(2, -4) from '2,-4', in feature cells."""
    dx, dy = parse_integers("--shift", "dx,dy", text)
    return dx, dy


def parse_crop(text: str | None) -> Crop | None:
    """(x, y, side) in pixels from 'x,y,side'; 'face', 'centre' and None stay what they are."""
    if text is None:
        return None
    if text == "face":
        return "face"
    if text == "centre":
        return "centre"
    try:
        x, y, side = (float(part) for part in text.split(","))
    except ValueError:
        from invert.images.crops import NICKNAMES

        near = did_you_mean(text, ("face", "centre"), NICKNAMES)
        raise UsageError(
            f"expected --crop x,y,side in pixels, face or centre; got {text!r}{near}"
        ) from None
    return x, y, side


def parse_seeds(text: str) -> list[int]:
    """[0, 1, 2, 3, 7] from '0-3,7'."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"expected seeds like 0-3,7; got {text!r}")
        low, high = check_seed(int(first)), check_seed(int(last or first))
        check_range(f"the number of seeds in {part.strip()!r}", high - low + 1, 1, MAX_SEEDS)
        seeds += range(low, high + 1)
    return seeds


def parse_point(text: str) -> Point:
    """7 from '7', else the path of a latent file; a file whose name is a number is './7'."""
    return check_seed(int(text)) if text.isdecimal() else Path(text)


def parse_points(texts: Iterable[str]) -> list[Point]:
    """[1, 2, 3, a.pt] from '1-3,a.pt', and from several such texts.

    A text that names a file is that file, commas included, unless it can be read as seeds.
    """
    points: list[Point] = []
    for text in texts:
        parts = [part.strip() for part in text.split(",")]
        if not all(map(SEEDS.fullmatch, parts)) and os.path.isfile(text):
            points.append(Path(text))
            continue

        for part in parts:
            if not part:
                raise UsageError("expected seeds and latent files like 1-3,a.pt; got an empty one")
            points += parse_seeds(part) if SEEDS.fullmatch(part) else [Path(part)]
    return points


def check_seed(seed: int) -> int:
    """The seed, if it is in [0, 2**32 - 1]."""
    from invert.arguments import MAX_SEED

    return int(check_range("seed", seed, 0, MAX_SEED))


def check_range(name: str, value: float, low: float, high: float) -> float:
    """The value, if it is in [low, high]; NaN is not."""
    if not low <= value <= high:
        raise UsageError(f"{name} is a number in [{low:g}, {high:g}], got {value}")
    return value
