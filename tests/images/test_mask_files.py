"""Masks mean the same weights in every file format, and say what they are when they are unusual."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import encoded
from PIL import Image

from invert.errors import ImageError, ImageWarning
from invert.images.images import read_mask

# 30×20 px, black to white
SOFT = np.tile(np.linspace(0, 255, 30).round().astype(np.uint8), (20, 1))
HARD = np.where(SOFT > 127, 255, 0).astype(np.uint8)


def quiet_mask(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mask = read_mask(path, size)
    assert mask.dtype == torch.float32
    assert mask.shape[:2] == (1, 1)
    return mask[0, 0].numpy()


def test_soft_grey_mask_keeps_its_values(tmp_path: Path) -> None:
    Image.fromarray(SOFT).save(tmp_path / "m.png")
    assert np.array_equal(quiet_mask(tmp_path / "m.png", (30, 20)), SOFT / np.float32(255))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA", "P", "CMYK"])
def test_black_and_white_mask_is_the_same_in_every_mode(tmp_path: Path, mode: str) -> None:
    Image.fromarray(HARD).convert("RGB").convert(mode).save(tmp_path / "m.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)  # CMYK
        assert np.array_equal(read_mask(tmp_path / "m.tif", None)[0, 0], HARD / 255)


def test_16_bit_and_float_masks_keep_their_precision(tmp_path: Path) -> None:
    fine = np.linspace(0, 65535, 600).round().astype(np.uint16).reshape(20, 30)
    Image.fromarray(fine).save(tmp_path / "m.png")
    assert np.array_equal(quiet_mask(tmp_path / "m.png"), fine / np.float32(65535))
    weights = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    Image.fromarray(weights).save(tmp_path / "m.tif")
    assert np.array_equal(quiet_mask(tmp_path / "m.tif"), weights)


def test_coloured_mask_is_split_at_luma_127_with_a_warning(tmp_path: Path) -> None:
    mask = Image.new("RGB", (30, 20), "lime")  # luma 150
    mask.paste((255, 0, 0), (0, 0, 10, 20))  # luma 76
    mask.save(tmp_path / "m.png")
    with pytest.warns(ImageWarning, match="has colours: luma above 127 is inside"):
        values = read_mask(tmp_path / "m.png", None)
    assert values[0, 0, 0].tolist() == [0.0] * 10 + [1.0] * 20


def test_grey_mask_saved_as_colour_jpeg_stays_soft(tmp_path: Path) -> None:
    (tmp_path / "m.jpg").write_bytes(
        encoded(Image.fromarray(SOFT).convert("RGB"), "JPEG", quality=95)
    )
    assert np.abs(quiet_mask(tmp_path / "m.jpg") - SOFT / 255).max() < 0.03


def test_transparent_counts_as_outside_with_a_warning(tmp_path: Path) -> None:
    mask = Image.new("RGBA", (30, 20), "white")
    mask.putalpha(Image.fromarray(SOFT))
    mask.save(tmp_path / "m.png")
    with pytest.warns(ImageWarning, match="count as black"):
        assert np.abs(read_mask(tmp_path / "m.png", None)[0, 0].numpy() - SOFT / 255).max() < 0.005


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_mask_of_0_and_1_is_rescaled_with_a_notice(tmp_path: Path, dtype: type) -> None:
    Image.fromarray((HARD > 0).astype(dtype)).save(tmp_path / "m.png")
    with pytest.warns(ImageWarning, match="holds only 0 and 1"):
        assert np.array_equal(read_mask(tmp_path / "m.png", None)[0, 0], HARD / 255)


@pytest.mark.parametrize(("level", "word"), [(0, "empty"), (255, "full")])
def test_empty_or_full_mask_is_exact_and_warned_about(
    tmp_path: Path, level: int, word: str
) -> None:
    Image.new("L", (30, 20), level).save(tmp_path / "m.png")
    with pytest.warns(ImageWarning, match=rf"m\.png: the mask is {word}"):
        assert torch.all(read_mask(tmp_path / "m.png", (30, 20)) == level / 255)


def test_other_size_is_resized_by_nearest_neighbour_with_a_warning(tmp_path: Path) -> None:
    Image.fromarray(HARD).save(tmp_path / "m.png")
    with pytest.warns(ImageWarning, match="resized from 30×20 to 90×60 px"):
        values = read_mask(tmp_path / "m.png", (90, 60))[0, 0].numpy()
    assert np.array_equal(values, np.repeat(np.repeat(HARD / 255, 3, 0), 3, 1))
    with pytest.warns(ImageWarning, match="resized"):  # 1500 × 2/3 rounds to 1000, 100 × 2/3 to 67
        assert read_mask(tmp_path / "m.png", (100, 67)).shape == (1, 1, 67, 100)


def test_other_proportions_are_refused(tmp_path: Path) -> None:
    Image.fromarray(HARD).save(tmp_path / "m.png")
    with pytest.raises(
        ImageError, match=r"m\.png: a mask of 30×20 px for an image of 20×30 px; "
    ) as caught:
        read_mask(tmp_path / "m.png", (20, 30))
    assert "\n" not in str(caught.value)


def test_orientation_is_applied_before_sizes_are_compared(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(HARD.T[::-1])).save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(quiet_mask(tmp_path / "m.png", (30, 20)), HARD / 255)


def test_what_is_no_picture_is_refused_as_a_mask_too(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"m\.png: empty file"):
        read_mask(tmp_path / "m.png", None)
