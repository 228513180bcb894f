"""A picture goes back to where it was cut: what was cut unchanged changes nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from invert.errors import UsageError
from invert.images.alignment import Square, cut
from invert.images.images import to_tensor
from invert.images.pasting import paste


def smooth(width: int = 240, height: int = 200) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(x / 23 + k) * np.cos(y / 19 - k) for k in range(3)]
    return Image.fromarray(np.stack(waves, 2).astype(np.uint8))


def facts_of(square: Square, picture: Image.Image) -> dict[str, object]:
    return {
        "size": list(picture.size),
        "face": {"corners": [list(corner) for corner in square.corners]},
    }


@pytest.mark.parametrize("size", [64, 100, 256])
@pytest.mark.parametrize("degrees", [0, 25, -130])
def test_what_was_cut_goes_back_to_its_place(degrees: float, size: int) -> None:
    angle = math.radians(degrees)
    photograph = smooth()
    square = Square((120, 90), (50 * math.cos(angle), 50 * math.sin(angle)))
    back = paste(photograph, to_tensor(cut(photograph, square, size)), facts_of(square, photograph))
    assert np.abs(np.asarray(back).astype(int) - np.asarray(photograph)).max() <= 6


def test_the_picture_replaces_the_middle_and_nothing_beyond_the_square() -> None:
    photograph = smooth()
    facts = {"size": [240, 200], "crop": [60, 50, 100]}
    found = np.asarray(paste(photograph, torch.ones(1, 3, 64, 64), facts))
    assert (found[58:142, 68:152] == 255).all()
    untouched = np.ones((200, 240), bool)
    untouched[50:150, 60:160] = False
    assert np.array_equal(found[untouched], np.asarray(photograph)[untouched])
    # it fades in
    assert np.abs(found[50, 60:160].astype(int) - np.asarray(photograph)[50, 60:160]).max() < 8


def test_a_square_that_leaves_the_photograph_is_pasted_as_far_as_it_goes() -> None:
    photograph = smooth()
    square = Square((10, 190), (40, 20))
    found = np.asarray(paste(photograph, torch.ones(1, 3, 32, 32), facts_of(square, photograph)))
    assert found.shape == (200, 240, 3)
    assert (found[185:195, 5:15] == 255).all()


def test_another_photograph_is_refused() -> None:
    with pytest.raises(UsageError, match=r"of the size \[100, 50\], this one has \[240, 200\]"):
        paste(smooth(), torch.zeros(1, 3, 8, 8), {"size": [100, 50], "crop": [0, 0, 50]})


def test_a_square_beside_the_photograph_is_refused() -> None:
    with pytest.raises(UsageError, match="outside the photograph"):
        paste(smooth(), torch.zeros(1, 3, 8, 8), {"size": [240, 200], "crop": [500, 20, 50]})


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"face": {}},
        {"face": {"corners": [[0, 0]]}},
        {"crop": [0, 0]},
        {"crop": [0, 0, 0]},
        {"crop": "a,b"},
        {"crop": [0, 0, float("nan")]},
    ],
)
def test_a_latent_that_does_not_say_where_it_was_is_refused(where: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="does not say where it was cut"):
        paste(smooth(), torch.zeros(1, 3, 8, 8), {"size": [240, 200], **where})
