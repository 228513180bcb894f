from __future__ import annotations

import pytest

from invert.errors import SpaceError, UsageError
from invert.latents.spaces import Space, check_conversion


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Z", "Z"), ("w", "W"), ("W+", "W+"), ("nw+", "NW+"), ("NW", "NW"), ("SW+", "SW+"),
        ("sw", "SW+"), ("NSW+", "NSW+"), ("FW5", "FW5"), ("fnw5", "FNW5"), ("FNW+5", "FNW5"),
        ("FNW5+", "FNW5"), ("FNW_5", "FNW5"), ("FSW12", "FSW12"), ("FNSW5", "FNSW5"),
        ("FNZ3", "FNZ3"), ("FZ3", "FZ3"), ("NZ", "NZ"),
    ],
)  # fmt: skip
def test_names_parse_and_print_in_one_form(typed: str, name: str) -> None:
    assert str(Space.parse(typed)) == name
    assert Space.parse(str(Space.parse(typed))) == Space.parse(typed)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "unknown"), ("X", "unknown"), ("FNW", "needs the layer"), ("W5", "names a layer"),
        ("SZ", "Z is one vector"), ("Z+", "Z is one vector"), ("FNW0", "counted from 1"),
        ("FNW-1", "unknown"), ("NFW5", "unknown"),
    ],
)  # fmt: skip
def test_impossible_names_are_refused_with_the_reason(typed: str, reason: str) -> None:
    with pytest.raises(SpaceError, match=reason):
        Space.parse(typed)


def test_impossible_parts_are_refused() -> None:
    with pytest.raises(SpaceError, match="style maps are one per layer"):
        Space("W", spatial=True)
    with pytest.raises(SpaceError, match="W\\+ from layer i on"):
        Space("W", layer=5)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Z", "W"),
        ("Z", "FNSW5"),
        ("W", "W+"),
        ("W+", "NSW+"),
        ("SW+", "FSW3"),
        ("FW3", "FNSW5"),
        ("FNZ3", "FNW5"),
    ],
)
def test_conversions_that_open_the_generator_are_allowed(source: str, target: str) -> None:
    check_conversion(Space.parse(source), Space.parse(target))


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("W", "Z", "no Z vector"), ("W+", "W", "no W vector"), ("SW+", "W+", "positions"),
        ("NW+", "W+", "dropped"), ("FW5", "FW3", "cannot be undone"),
        ("FW5", "W+", "no styles that make them"), ("FSW5", "FW5", "positions"),
        ("FNW5", "FW5", "dropped"), ("FNZ3", "NZ", "no styles that make them"),
    ],
)  # fmt: skip
def test_conversions_that_lose_something_say_what(source: str, target: str, reason: str) -> None:
    with pytest.raises(SpaceError, match=reason):
        check_conversion(Space.parse(source), Space.parse(target))


def test_a_name_is_no_base_and_parts_have_their_kinds() -> None:
    with pytest.raises(SpaceError, match=r"got 'FNW5'; Space.parse\('FNW5'\) reads the name"):
        Space("FNW5")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="layer is an integer, got '5'"):
        Space("W+", "5")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="noise is True or False, got 'yes'"):
        Space("W+", 5, noise="yes")  # type: ignore[arg-type]
