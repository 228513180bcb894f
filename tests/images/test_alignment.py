"""A face is cut as FFHQ would: upright, at one size, in one place, wherever and however it lies in
the photograph.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from invert.errors import ImageError, ImageWarning, UsageError
from invert.images.alignment import (
    Square,
    choose_face,
    cut,
    cut_face,
    ffhq_square,
    lies_as_in_ffhq,
    share_outside,
)
from invert.images.face_detection import Face

UPRIGHT = ((-10.0, 0.0), (10.0, 0.0), (0.0, 12.0), (-8.0, 20.0), (8.0, 20.0))


def face(
    x: float = 0,
    y: float = 0,
    scale: float = 1,
    degrees: float = 0,
    score: float = 1.0,
    points: Sequence[tuple[float, float]] = UPRIGHT,
) -> Face:
    """A face with its eyes around (x, y), `20 * scale` px apart, turned clockwise as seen."""
    turn = scale * np.exp(1j * math.radians(degrees))
    turned = [turn * complex(*p) + complex(x, y) for p in points]
    return Face((0, 0, 1, 1), score, tuple((float(p.real), float(p.imag)) for p in turned))


def coordinates(width: int, height: int) -> Image.Image:
    """A picture that says where each of its pixels lies: red is its x, green its y, in the middle
    of the pixel.
    """
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x, y, np.full_like(x, 128)], 2).astype(np.uint8))


# -- where


def test_the_square_is_as_large_as_eyes_or_mouth_ask() -> None:
    square = ffhq_square(face())
    # a tenth of the way from the eyes to the mouth, 20 px below
    assert square.centre == pytest.approx((0, 2))
    # twice the distance of the eyes; 1.8 times that to the mouth is less
    assert square.right == pytest.approx((40, 0))
    narrow = face(points=((-7, 0), (7, 0), (0, 12), (-8, 20), (8, 20)))
    assert ffhq_square(narrow).right == pytest.approx((36, 0))


@pytest.mark.parametrize("degrees", [-60, 20, 90])
def test_the_square_moves_grows_and_turns_with_the_face(degrees: float) -> None:
    square = ffhq_square(face(300, 200, 2.5, degrees))
    angle = math.radians(degrees)
    assert square.side == pytest.approx(2.5 * 80)
    assert math.atan2(square.right[1], square.right[0]) == pytest.approx(angle)
    assert square.centre == pytest.approx((300 - 5 * math.sin(angle), 200 + 5 * math.cos(angle)))


def test_corners_are_named_as_the_cut_picture_shows_them() -> None:
    assert Square((10, 10), (5, 0)).corners == [(5, 5), (15, 5), (15, 15), (5, 15)]
    # a quarter turn clockwise
    assert Square((10, 10), (0, 5)).corners == [(15, 5), (15, 15), (5, 15), (5, 5)]


def test_a_square_photograph_of_the_face_alone_lies_as_in_ffhq() -> None:
    size = (100, 100)
    assert lies_as_in_ffhq(Square((50, 50), (50, 0)), size)
    assert lies_as_in_ffhq(Square((60, 45), (45, 8)), size)
    for other in (Square((50, 50), (30, 0)), Square((70, 50), (50, 0)), Square((50, 50), (40, 30))):
        assert not lies_as_in_ffhq(other, size)  # smaller, aside, turned
    assert not lies_as_in_ffhq(Square((50, 50), (50, 0)), (100, 120))


# -- what


@pytest.mark.parametrize("size", [16, 40, 64, 100])
@pytest.mark.parametrize("degrees", [0, 30, -75])
def test_every_pixel_comes_from_its_place(size: int, degrees: float) -> None:
    angle = math.radians(degrees)
    square = Square((130, 110), (50 * math.cos(angle), 50 * math.sin(angle)))
    found = np.asarray(cut(coordinates(240, 230), square, size)).astype(float)
    steps = (np.arange(size) + 0.5) / size * 2 - 1
    across, along = np.meshgrid(steps, steps)
    (x, y), (dx, dy) = square.centre, square.right
    assert np.abs(found[..., 0] - (x + across * dx - along * dy - 0.5)).max() < 0.51  # rounding
    assert np.abs(found[..., 1] - (y + across * dy + along * dx - 0.5)).max() < 0.51  # rounding


def test_a_square_of_whole_pixels_at_its_own_size_is_copied() -> None:
    picture = coordinates(80, 70)
    assert np.array_equal(
        np.asarray(cut(picture, Square((40, 35), (16, 0)), 32)), np.asarray(picture)[19:51, 24:56]
    )


def test_a_fine_texture_is_averaged_where_the_square_shrinks() -> None:
    checks = np.indices((512, 512)).sum(0) % 2 * 255
    picture = Image.fromarray(np.stack([checks] * 3, 2).astype(np.uint8))
    for side in (90, 130, 400):
        found = np.asarray(cut(picture, Square((256, 256), (side / 2, 0)), 32)).astype(int)
        assert np.abs(found - 127).max() < 24


def test_beyond_the_photograph_lies_its_mirror_image_that_fades_to_its_colour() -> None:
    found = np.asarray(cut(coordinates(200, 200), Square((0, 100), (60, 0)), 120)).astype(int)
    # the photograph's own pixels
    assert np.array_equal(found[:, 62:, 0], np.tile(np.arange(2, 60), (120, 1)))
    assert np.abs(found[40:80, 58:62, 0]).max() < 6  # no edge
    assert np.ptp(found[40:80, 0, 0]) == 0  # far away all is one colour, the median of what is seen
    assert found[60, 0, 0] == pytest.approx(np.median(np.arange(62)), abs=1)


def test_a_square_beside_the_photograph_is_refused() -> None:
    with pytest.raises(UsageError, match="lies outside the photograph"):
        cut(coordinates(50, 50), Square((200, 20), (20, 0)), 32)


def test_the_share_outside_is_an_area() -> None:
    assert share_outside(Square((50, 50), (50, 0)), (100, 100)) == 0
    assert share_outside(Square((0, 50), (50, 0)), (100, 100)) == pytest.approx(0.5)
    assert share_outside(Square((0, 0), (50, 0)), (100, 100)) == pytest.approx(0.75)


# -- which, and what is said of it


def test_a_lone_face_is_taken_silently_and_no_face_is_an_error_that_says_what_to_do() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_face("a.png", [face()]) == face()
    with pytest.raises(ImageError, match=r"^a\.png: no face found; --crop x,y,side says where"):
        choose_face("a.png", [])


def test_of_several_faces_the_largest_is_taken_or_the_one_that_is_named() -> None:
    faces = [face(0), face(100, scale=2), face(200)]
    with pytest.warns(
        ImageWarning, match=r"3 faces, the largest is taken, number 1; --face 0 to 2 takes another"
    ):
        assert choose_face("a.png", faces) is faces[1]
    assert choose_face("a.png", faces, 2) is faces[2]
    for index in (-1, 3):
        with pytest.raises(
            UsageError, match=f"no face {index}; found 3, numbered from 0 at the left"
        ):
            choose_face("a.png", faces, index)


def test_unsure_faces_count_only_where_there_is_no_surer_one() -> None:
    sure, unsure = face(), face(100, scale=3, score=0.8)
    assert choose_face("a.png", [sure, unsure], 0) is sure
    with pytest.raises(UsageError, match="found 1"):
        choose_face("a.png", [sure, unsure], 1)
    assert choose_face("a.png", [unsure]) is unsure


def test_what_is_wrong_with_a_face_is_said() -> None:
    picture = coordinates(200, 200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cut_picture, facts = cut_face("a.png", picture, face(100, 100), 64)
    assert cut_picture.size == (64, 64)
    assert facts["corners"] == [[60, 62], [140, 62], [140, 142], [60, 142]]
    assert (facts["side"], facts["score"]) == (80, 1)
    aside = face(100, 100, points=((-4, 0), (4, 0), (0, 12), (-4, 20), (4, 20)))
    for wrong, said in (
        (aside, "looks aside"),
        (face(100, 100, 0.15), "12 px wide, enlarged to 64 px"),
        (face(0, 100), r"50% of the square .* is made up"),
    ):
        with pytest.warns(ImageWarning, match=said):
            cut_face("a.png", picture, wrong, 64)
