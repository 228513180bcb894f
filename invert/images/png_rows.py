"""A PNG of any size, written from top to bottom with the memory of a few rows.

Pillow wants the whole picture at once. Rows are filtered as libpng does for photographs: each takes
the filter whose residuals have the smallest sum. Format: PNG specification, third edition, chapters
5, 9 and 11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import IO

import numpy as np

from invert.errors import UsageError
from invert.files.provenance import KEY, Record, as_text

MAX_SIDE = 2**31 - 1  # of a PNG
LEVEL = 6  # of zlib
RGB_8_BIT = (8, 2, 0, 0, 0)  # bits, colour type, compression, filters, interlace
FILTERS = (1, 2, 4)  # Sub, Up, Paeth


def write_png_rows(
    file: IO[bytes], size: tuple[int, int], strips: Iterable[np.ndarray], record: Record | None
) -> None:
    """Write strips, uint8 [h, W, 3] of 8-bit sRGB from the top, as one PNG with its record.

    `size` is (height, width). Raises :class:`UsageError` for strips that do not fill it.
    """
    height, width = size
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise UsageError(f"a PNG has 1 to {MAX_SIDE} px a side, got {width}×{height}")

    # Signature, header, and the record in a text chunk.
    file.write(b"\x89PNG\r\n\x1a\n")
    write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, *RGB_8_BIT))
    if record is not None:
        write_chunk(file, b"tEXt", KEY.encode() + b"\0" + as_text(record).encode("latin-1"))

    # One stream of compressed rows, in as many chunks as it takes.
    compressor = zlib.compressobj(LEVEL)
    above = np.zeros((1, width, 3), np.uint8)
    rows = 0
    for strip in strips:
        if strip.dtype != np.uint8 or strip.shape[1:] != (width, 3):
            raise UsageError(
                f"expected strips uint8 [h, {width}, 3], got {strip.dtype} {list(strip.shape)}"
            )
        write_chunk(file, b"IDAT", compressor.compress(filtered(strip, above)))
        above, rows = strip[-1:], rows + len(strip)
    write_chunk(file, b"IDAT", compressor.flush())
    write_chunk(file, b"IEND", b"")

    if rows != height:
        raise UsageError(f"expected strips of {height} rows together, got {rows}")


def write_chunk(file: IO[bytes], kind: bytes, data: bytes) -> None:
    """Length, kind, data and checksum; no empty chunk of image data."""
    if data or kind != b"IDAT":
        file.write(struct.pack(">I", len(data)) + kind + data)
        file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


def filtered(strip: np.ndarray, above: np.ndarray) -> bytes:
    """The rows of a strip [h, W, 3], each after the number of its filter; `above` is [1, W, 3]."""
    # Neighbours a (left), b (up) and c (left above), all 0 outside the picture.
    x = strip.astype(np.int16)
    b = np.concatenate([above, strip[:-1]]).astype(np.int16)
    a, c = np.zeros_like(x), np.zeros_like(x)
    a[:, 1:], c[:, 1:] = x[:, :-1], b[:, :-1]

    # Paeth's prediction: whichever of the three is nearest to a + b − c, in this order.
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    paeth = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))

    # Residuals modulo 256; the filter of a row is the one of the smallest sum of their sizes.
    residuals = np.stack([(x - guess).astype(np.uint8) for guess in (a, b, paeth)])
    sums = np.abs(residuals.view(np.int8).astype(np.int16)).sum((2, 3), dtype=np.int64)
    best = sums.argmin(0)

    rows = residuals[best, np.arange(len(strip))].reshape(len(strip), -1)
    numbers = np.array(FILTERS, np.uint8)[best, None]
    return np.concatenate([numbers, rows], 1).tobytes()
