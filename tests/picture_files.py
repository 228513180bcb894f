"""Image files for tests: small pictures in any format, hand-made PNGs, and reading them."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from invert.errors import ImageError
from invert.files.file_kinds import shown
from invert.images.image_files import ReadOptions
from invert.images.images import read_image


def photo(width: int = 48, height: int = 32, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def encoded(image: Image.Image, kind: str, **parameters: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **parameters)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour_type: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def refused(path: str | Path, options: ReadOptions | None = None) -> str:
    """What follows the path in the error's message."""
    with pytest.raises(ImageError) as caught:
        read_image(path, options or ReadOptions())
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{shown(path)}: ")
    assert caught.value.exit_code == 3
    return message.removeprefix(f"{shown(path)}: ")


def read_quietly(path: Path, options: ReadOptions | None = None) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.asarray(read_image(path, options or ReadOptions()))


def same_pixels(a: Image.Image | np.ndarray, b: Image.Image | np.ndarray) -> bool:
    return np.array_equal(np.asarray(a), np.asarray(b))
