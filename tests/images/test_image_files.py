"""Faults of image files: refused in one line that starts with the path, or read with a warning."""

from __future__ import annotations

import importlib.util
import os
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from picture_files import chunk, encoded, photo, png, read_quietly, refused, same_pixels
from PIL import Image
from shell import nobody

from invert.errors import ImageWarning, UsageError
from invert.files.file_kinds import shown
from invert.images.image_files import ReadOptions
from invert.images.images import read_image

LINUX = os.path.exists("/proc/self/status")


# Paths and what lies behind them


def test_missing_file_directory_and_impossible_name_are_refused(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.png")
    assert "is a directory" in refused(tmp_path)
    assert "cannot be read" in refused(tmp_path / ("x" * 300 + ".png"))
    assert "cannot be read" in refused(f"{tmp_path}/nul\0.png")


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(photo(), "PNG"))
    (tmp_path / "secret.png").chmod(0)
    with nobody():
        assert "permission denied" in refused(tmp_path / "secret.png")


@pytest.mark.skipif(not LINUX, reason="FIFOs and devices of Linux")
def test_what_is_not_a_regular_file_is_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    assert "not a regular file" in refused(tmp_path / "fifo.png")
    assert "not a regular file" in refused("/dev/zero")


@pytest.mark.skipif(
    not LINUX, reason="a file of /proc says it has 0 bytes, as one that grows meanwhile does"
)
def test_file_that_changes_while_it_is_read_is_refused() -> None:
    assert "changed while it was read" in refused("/proc/self/status")


def test_file_beyond_the_byte_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(photo(), "PNG"))
    assert "larger than" in refused(tmp_path / "a.png", ReadOptions(max_bytes=1000))


@pytest.mark.parametrize(
    "name", [b"with space.png", b"new\nline.png", b"\xff\xfe.png", b"-rf.png", b"\xc3\xa9" * 60]
)
def test_any_file_name_is_read_and_its_messages_stay_printable(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(encoded(photo(), "PNG"))
    assert read_quietly(path).shape == (32, 48, 3)
    path.write_bytes(b"")
    assert "empty file" in refused(path)
    shown(path).encode("utf-8")


def test_symbolic_link_to_a_picture_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(photo(), "PNG"))
    (tmp_path / "link").symlink_to("a.png")
    assert same_pixels(read_quietly(tmp_path / "link"), photo())


# Content that is no picture


@pytest.mark.parametrize(
    ("content", "looks_like"),
    [
        (b"<!DOCTYPE html><html><h1>404</h1></html>", "HTML"),
        (b"\xef\xbb\xbf\n<HTML>", "HTML"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<svg/>", "SVG"),
        (b"<?xml version='1.0'?><rss/>", "XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"PK\3\4" + b"\0" * 99, "archive or a model file"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "video"),
        (b"<!-- made by hand --><svg/>", "SVG"),
        (b"no such page", "text"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, looks_like: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    message = refused(tmp_path / "a.png")
    assert message.startswith("not a raster image (looks like ")
    assert looks_like in message


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(np.random.default_rng(0).bytes(4000))
    assert "not a raster image of a known format" in refused(tmp_path / "a.png")


@pytest.mark.parametrize(
    "head", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0\xff\xff\xff\xff", b"GIF89a"]
)
def test_damaged_header_names_the_format(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a").write_bytes(head + b"\1" * 40)
    message = refused(tmp_path / "a")
    assert "damaged" in message


@pytest.mark.parametrize(
    ("content", "module", "package"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99, "pillow_heif", "pillow-heif"),
        (b"\xff\x0a" + b"\0" * 99, "pillow_jxl", "pillow-jxl-plugin"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 99, "pillow_jxl", "pillow-jxl-plugin"),
    ],
)
def test_missing_plugin_is_named(tmp_path: Path, content: bytes, module: str, package: str) -> None:
    if importlib.util.find_spec(module):
        pytest.skip(f"{module} is installed")
    (tmp_path / "a.jpg").write_bytes(content)
    assert f"pip install {package}" in refused(tmp_path / "a.jpg")


def test_format_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(photo(), "PNG"))
    assert same_pixels(read_quietly(tmp_path / "a.jpg"), photo())


# Size


@pytest.mark.parametrize("side", [60_000, 12_000, 9_000])
def test_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    # Without pixel data: had decoding begun, the message would be another.
    (tmp_path / "a.png").write_bytes(png(side, side, chunk(b"IDAT", b"")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = refused(tmp_path / "a.png")
    assert "too large" in message
    assert "limit 64 Mpx" in message


def test_pixel_limit_is_exact(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(photo(48, 32), "PNG"))
    read_quietly(tmp_path / "a.png", ReadOptions(max_pixels=48 * 32))
    assert "--max-pixels" in refused(tmp_path / "a.png", ReadOptions(max_pixels=48 * 32 - 1))


def test_later_frame_beyond_the_pixel_limit_is_refused(tmp_path: Path) -> None:
    pages = encoded(photo(20, 20), "TIFF", save_all=True, append_images=[photo(90, 90)])
    (tmp_path / "a.tif").write_bytes(pages)
    assert "too large" in refused(tmp_path / "a.tif", ReadOptions(frame=1, max_pixels=1000))


def test_zero_sized_tiny_and_very_long_pictures_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for size in [(0, 0), (0, 20), (20, 0)]:
        path.write_bytes(png(*size, chunk(b"IDAT", zlib.compress(b""))))
        assert "zero-sized" in refused(path)
    path.write_bytes(encoded(photo(1, 1), "PNG"))
    assert "too small" in refused(path)
    read_quietly(path, ReadOptions(min_side=1))
    path.write_bytes(encoded(photo(16, 400), "PNG"))
    assert "times as long as wide" in refused(path)
    read_quietly(path, ReadOptions(max_aspect=25))


def text_bomb() -> bytes:
    return chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 200_000_000, 9))


def profile_bomb() -> bytes:
    return chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"\0" * 200_000_000, 9))


@pytest.mark.parametrize("bomb", [text_bomb, profile_bomb])
def test_compressed_metadata_bomb_is_refused(tmp_path: Path, bomb) -> None:
    pixels = zlib.compress((b"\0" + b"\x80" * 60) * 20)
    (tmp_path / "a.png").write_bytes(png(20, 20, bomb(), chunk(b"IDAT", pixels)))
    assert "too large" in refused(tmp_path / "a.png")


# Frames


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_comes_with_a_warning_and_others_on_request(tmp_path: Path, kind: str) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    first, *rest = [Image.new("RGB", (20, 20), colour) for colour in colours]
    parameters = {"lossless": True} if kind == "WEBP" else {}
    (tmp_path / "a").write_bytes(
        encoded(first, kind, save_all=True, append_images=rest, **parameters)
    )
    with pytest.warns(ImageWarning, match=r"has 3 frames; .*--frame"):
        assert read_image(tmp_path / "a").getpixel((3, 3)) == colours[0]
    for k, colour in enumerate(colours):
        assert tuple(read_quietly(tmp_path / "a", ReadOptions(frame=k))[3, 3]) == colour
    assert "no frame 3" in refused(tmp_path / "a", ReadOptions(frame=3))


def test_preview_inside_a_phone_photograph_needs_no_warning(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(
        encoded(photo(), "MPO", save_all=True, append_images=[photo(20, 20)])
    )
    assert read_quietly(tmp_path / "a.jpg").shape == (32, 48, 3)


# Options and process-wide state


@pytest.mark.parametrize(
    "wrong",
    [
        {"background": "whitish"},
        {"max_pixels": 0},
        {"max_bytes": 0},
        {"min_side": 0},
        {"max_aspect": float("nan")},
        {"frame": -1},
    ],
)
def test_senseless_options_are_refused(wrong: dict) -> None:
    with pytest.raises(UsageError, match=f"^{next(iter(wrong))} .*expected"):
        ReadOptions(**wrong)


def test_reading_in_threads_leaves_the_warning_filters_alone(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(photo(), "PNG"))
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [read_image(tmp_path / "a.png") for _ in range(20)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
