"""Headers without end are refused before anything walks through them."""

from __future__ import annotations

import struct
import time
import warnings
from pathlib import Path

import pytest
from picture_files import chunk, encoded, photo, png, refused

from invert.images.images import read_image

JPEG = encoded(photo(), "JPEG")


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


EXIF, XMP, COMMENT = (
    segment(0xE1, b"Exif\0\0" + bytes(65000)),
    segment(0xE1, bytes(65000)),
    segment(0xFE, bytes(65000)),
)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (EXIF * 2000, "too much metadata before the picture"),
        (EXIF * 100, "too much metadata"),
        (XMP * 1000, "too much metadata"),
        (COMMENT * 1000, "too much metadata"),
        (b"\xff" * (40 << 20), "too much metadata"),
        (segment(0xE1, b"") * 200_000, "more than 100001 parts"),
    ],
    ids=["exif", "less exif", "xmp", "comments", "filling", "tiny"],
)
def test_a_jpeg_of_metadata_is_refused_in_no_time(
    tmp_path: Path, header: bytes, reason: str
) -> None:
    (tmp_path / "p.jpg").write_bytes(JPEG[:2] + header + JPEG[2:])
    start = time.perf_counter()
    assert reason in refused(tmp_path / "p.jpg")
    assert time.perf_counter() - start < 5


def test_a_jpeg_of_scans_is_refused(tmp_path: Path) -> None:
    progressive = encoded(photo(), "JPEG", progressive=True)
    first = progressive.index(b"\xff\xda")
    scan = progressive[first : progressive.index(b"\xff\xc4", first)]
    (tmp_path / "p.jpg").write_bytes(progressive[:first] + scan * 1000 + progressive[first:])
    assert "scans, at most 256 are read" in refused(tmp_path / "p.jpg")


def test_a_png_of_chunks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(png(48, 32, *[chunk(b"tEXt", b"")] * 120_000))
    assert "more than 100000 chunks" in refused(tmp_path / "p.png")


def test_a_tiff_of_pages_is_refused(tmp_path: Path) -> None:
    one = encoded(photo(), "TIFF")
    (first,) = struct.unpack_from("<I", one, 4)
    (entries,) = struct.unpack_from("<H", one, first)
    end = first + 2 + 12 * entries
    table, data = one[first:end], bytearray(one)
    for _ in range(20_000):
        struct.pack_into("<I", data, end, len(data))
        end = len(data) + len(table)
        data += table + bytes(4)
    (tmp_path / "p.tif").write_bytes(data)
    assert "more than 10000 pages" in refused(tmp_path / "p.tif")
    struct.pack_into("<I", data, first + len(table), first)  # a chain without end
    (tmp_path / "p.tif").write_bytes(data)
    assert "more than 10000 pages" in refused(tmp_path / "p.tif")


def test_a_picture_with_much_metadata_and_something_after_it_is_read(tmp_path: Path) -> None:
    header = segment(0xE1, b"Exif\0\0") + XMP * 100
    (tmp_path / "p.jpg").write_bytes(JPEG[:2] + header + JPEG[2:] + b"\xff\xda" * 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read_image(tmp_path / "p.jpg").size == (48, 32)
