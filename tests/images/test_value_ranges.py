"""Values that do not fill their type are recognized or refused, never read as black."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from picture_files import chunk, encoded, photo, png, read_quietly, refused
from PIL import Image

from invert.errors import ImageError, ImageWarning
from invert.images.images import read_image, read_mask

SHAPE = (32, 48)
SPREAD = np.linspace(0, 1, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
HARD = (SPREAD > 0.5).astype(np.uint8)  # black and white


def of(*values: float, dtype: type = np.uint8) -> np.ndarray:
    """Equal stripes of values."""
    return np.resize(np.repeat(values, SHAPE[1] // len(values))[: SHAPE[1]], SHAPE).astype(dtype)


def save(array: np.ndarray, path: Path) -> Path:
    Image.fromarray(array).save(path)
    return path


# --- masks


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("values", [(0, 1, 7), (0, 2), (1, 2, 3), (0, 18), (7,)])
def test_label_maps_are_refused_as_masks_with_their_values(
    tmp_path: Path, dtype: type, values: tuple[int, ...]
) -> None:
    path = save(of(*values, dtype=dtype), tmp_path / "m.tif")
    came = ", ".join(map(str, values))
    with pytest.raises(
        ImageError, match=rf"m\.tif: values {came}: a label map.*\(labels == {values[-1]}\) \* 255"
    ):
        read_mask(path, None)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L"])
def test_labels_are_labels_in_every_mode(tmp_path: Path, mode: str) -> None:
    Image.fromarray(of(0, 1, 7)).convert(mode).save(tmp_path / "m.png")
    with pytest.raises(ImageError, match="values 0, 1, 7: a label map"):
        read_mask(tmp_path / "m.png", None)


def test_labels_with_255_for_what_has_none_are_refused_and_dirt_is_not(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"values 0, 5, 13, 255: a label map.*labels == 13"):
        read_mask(save(of(0, 5, 13, 255), tmp_path / "m.png"), None)
    dirty = HARD * 255
    dirty[0, 0] = 1
    assert read_mask(save(dirty, tmp_path / "d.png"), None).max() == 1
    (tmp_path / "j.jpg").write_bytes(encoded(Image.fromarray(HARD * 255), "JPEG", quality=50))
    assert read_mask(tmp_path / "j.jpg", None).max() > 0.9


def test_many_labels_are_listed_shortly(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"values 0, 1, 2, 3, 4, …, 18: a label map"):
        read_mask(save(of(*range(19)), tmp_path / "m.png"), None)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
@pytest.mark.parametrize(("white", "bits"), [(255, 8), (1023, 10), (4095, 12)])
def test_fewer_bits_in_a_mask_are_recognized(
    tmp_path: Path, dtype: type, white: int, bits: int
) -> None:
    path = save((HARD * float(white)).astype(dtype), tmp_path / "m.tif")
    with pytest.warns(ImageWarning, match=rf"no value is above {white}: taken as {bits} bits in "):
        assert np.array_equal(read_mask(path, None)[0, 0], HARD)


def test_0_and_1_are_black_and_white_in_every_type(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.uint16, np.int32):
        with pytest.warns(ImageWarning, match="only 0 and 1"):
            assert np.array_equal(
                read_mask(save(HARD.astype(dtype), tmp_path / "m.tif"), None)[0, 0], HARD
            )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(
            read_mask(save(HARD.astype(np.float32), tmp_path / "f.tif"), None)[0, 0], HARD
        )


def test_masks_out_of_every_range_are_refused_with_what_was_found(tmp_path: Path) -> None:
    for array, reason in (
        (of(-1, 5, dtype=np.int32), "integer values -1…5, expected 0…65535"),
        (of(0, 2**31 - 1, dtype=np.int32), "integer values 0…2147483"),
        (of(0, np.nan, dtype=np.float32), "NaN"),
        (of(-0.2, 1, dtype=np.float32), r"float values -0\.2…1, expected 0…1 in a mask"),
        (of(0, 70000, dtype=np.float32), r"float values 0…7e\+04, expected 0…1"),
    ):
        with pytest.raises(ImageError, match=reason):
            read_mask(save(array, tmp_path / "m.tif"), None)


@pytest.mark.parametrize(
    ("values", "dtype", "share"),
    [((0, 100), np.uint8, "39%"), ((0, 20, 60), np.uint8, "24%"), ((0, 16383), np.uint16, "25%")],
)
def test_a_mask_without_white_is_said_to_blend(
    tmp_path: Path, values: tuple[int, ...], dtype: type, share: str
) -> None:
    path = save(of(*values, dtype=dtype), tmp_path / "m.png")
    with pytest.warns(ImageWarning, match=f"no value is above {share} of white: .* blended"):
        read_mask(path, None)


# --- pictures


def test_what_may_be_14_bits_is_said(tmp_path: Path) -> None:
    path = save((SPREAD * 16383).astype(np.uint16), tmp_path / "p.png")
    with pytest.warns(ImageWarning, match="no value is above 16383: it is dark, or has 14 bits"):
        assert np.asarray(read_image(path)).max() == 64


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
@pytest.mark.parametrize(("white", "bits"), [(255, 8), (1023, 10), (4095, 12)])
def test_fewer_bits_in_a_picture_are_recognized(
    tmp_path: Path, dtype: type, white: int, bits: int
) -> None:
    levels = (SPREAD * 255).round()
    path = save((levels * white / 255).round().astype(dtype), tmp_path / "p.tif")
    with pytest.warns(ImageWarning, match=rf"taken as {bits} bits in "):
        found = np.asarray(read_image(path))[..., 0]
    assert np.abs(found.astype(int) - levels).max() <= 1


def test_a_tiff_that_says_how_many_bits_it_has_is_believed(tmp_path: Path) -> None:
    dark = (SPREAD * 900).astype(np.uint16)  # of 4095: a dark picture of 12 bits, not one of 10
    Image.fromarray(dark).save(tmp_path / "p.tif", tiffinfo={281: 4095})
    with pytest.warns(ImageWarning, match="white is 4095, as the file says: 12 bits in 16"):
        assert np.asarray(read_image(tmp_path / "p.tif")).max() == round(900 / 4095 * 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_label_maps_are_refused_as_pictures(tmp_path: Path, dtype: type) -> None:
    came = refused(save(of(0, 1, 7, dtype=dtype), tmp_path / "p.tif"))
    assert came.startswith("values 0, 1, 7, nearly black: a label map")


def test_12_bits_in_16_in_colour_are_refused(tmp_path: Path) -> None:
    """Pillow keeps the upper eight bits of each, of which twelve use four."""
    rows = (np.random.default_rng(0).integers(0, 4096, (*SHAPE, 3))).astype(">u2")
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    (tmp_path / "p.png").write_bytes(
        png(*SHAPE[::-1], chunk(b"IDAT", zlib.compress(data)), depth=16)
    )
    assert "…, 15, nearly black" in refused(tmp_path / "p.png")


def test_one_colour_all_over_is_a_picture(tmp_path: Path) -> None:
    for level in (0, 1, 7, 255):
        assert (read_quietly(save(of(level), tmp_path / "p.png")) == level).all()
    for dtype in (np.uint16, np.float32):
        assert (read_quietly(save(of(0, dtype=dtype), tmp_path / "p.tif")) == 0).all()


def test_usual_pictures_of_every_type_are_read_as_before(tmp_path: Path) -> None:
    full = (SPREAD * 65535).round().astype(np.uint16)
    for array in (full, full.astype(np.int32), (SPREAD.astype(np.float32))):
        path = save(array, tmp_path / "p.tif")
        assert np.abs(read_quietly(path)[..., 0] - SPREAD * 255).max() <= 1
    Image.fromarray(HARD * 255).convert("1").save(tmp_path / "b.png")
    assert np.array_equal(read_quietly(tmp_path / "b.png")[..., 0], HARD * 255)
    photo().save(tmp_path / "c.png")
    assert np.array_equal(read_quietly(tmp_path / "c.png"), np.asarray(photo()))
