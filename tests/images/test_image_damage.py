"""Damaged image files never give another picture in silence, nor any error but ours."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from picture_files import encoded, photo, refused, same_pixels
from PIL import Image, ImageFile

from invert.errors import ImageError, ImageWarning
from invert.images.image_files import ReadOptions
from invert.images.images import read_image


@pytest.fixture(autouse=True)
def pillow_settings_stay_as_they_are() -> Iterator[None]:
    before = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
    yield
    after = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
    assert after == before


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM"])
def test_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, kind: str) -> None:
    whole = encoded(photo(), kind)
    for length in np.linspace(1, len(whole) * 0.98, 40).astype(int):
        (tmp_path / "a").write_bytes(whole[:length])
        refused(tmp_path / "a")


def test_png_without_its_last_chunk_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(photo(), "PNG")[:-12])
    assert "truncated" in refused(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_truncated_file_is_kept_in_part_on_request(tmp_path: Path, kind: str) -> None:
    picture = photo(200, 200).resize((256, 256), Image.Resampling.BICUBIC)
    whole = encoded(picture, kind)
    (tmp_path / "a").write_bytes(whole[: len(whole) // 2 + 200])
    with pytest.warns(ImageWarning, match="could not be decoded"):
        kept = np.asarray(read_image(tmp_path / "a", ReadOptions(allow_truncated=True)), dtype=int)
    lossless = np.asarray(Image.open(io.BytesIO(whole)).convert("RGB"), dtype=int)
    rows = slice(250, 140, -1) if kind == "BMP" else slice(0, 110)  # BMP starts at the bottom
    lost = 10 if kind == "BMP" else 250
    assert same_pixels(kept[rows], lossless[rows])
    assert not kept[lost].any()


def test_nothing_decodable_is_refused_even_on_request(tmp_path: Path) -> None:
    whole = encoded(photo(), "PNG")
    (tmp_path / "a.png").write_bytes(whole[:45])
    refused(tmp_path / "a.png", ReadOptions(allow_truncated=True))


def test_flipped_bit_in_a_png_never_gives_another_picture(tmp_path: Path) -> None:
    picture = photo(20, 16)
    whole = encoded(picture, "PNG")
    rng = np.random.default_rng(0)
    reads = 0
    for position in range(8, len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        (tmp_path / "a.png").write_bytes(damaged)
        with contextlib.suppress(ImageError):
            assert same_pixels(read_image(tmp_path / "a.png"), picture), position
            reads += 1
    assert reads < 10  # the checksum of IEND and little else


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000"])
def test_random_damage_gives_a_picture_or_an_image_error(tmp_path: Path, kind: str) -> None:
    whole = encoded(photo(24, 20), kind)
    rng = np.random.default_rng(1)
    for _ in range(80):
        damaged = bytearray(whole)
        for position in rng.integers(0, len(whole), 3):
            damaged[position] = int(rng.integers(256))
        (tmp_path / "a").write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ImageWarning)
            with contextlib.suppress(ImageError):
                assert read_image(tmp_path / "a", ReadOptions(max_pixels=10**6)).mode == "RGB"
