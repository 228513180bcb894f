"""Files whose headers would take minutes to parse, refused before a decoder sees them.

Decoders walk through the parts of a file one by one, and join some of them again for each.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from invert.errors import ImageError

MAX_METADATA = 32 << 20  # bytes before the pixels of a JPEG
MAX_EXIF = 4 << 20  # bytes of EXIF, which Pillow joins part by part
MAX_PARTS = 100_000  # segments of a JPEG before its pixels, chunks of a PNG
MAX_SCANS = 256  # passes of a progressive JPEG over all of its pixels; a dozen is usual
MAX_PAGES = 10_000  # of a TIFF, which are counted by walking through them
TIFF_STARTS = {b"II*\0": ("<", "H", 12, "I"), b"MM\0*": (">", "H", 12, "I")}
TIFF_STARTS |= {b"II+\0": ("<", "Q", 20, "Q"), b"MM\0+": (">", "Q", 20, "Q")}  # BigTIFF
FILLING = re.compile(rb"\xff*")
STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
START_OF_SCAN, APP1 = 0xDA, 0xE1


def check_headers(name: str, data: bytes) -> None:
    """Raise :class:`ImageError` for more metadata or parts than any picture has."""
    if data.startswith(b"\xff\xd8"):
        check_jpeg(name, data)
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        check_png(name, data)
    elif data[:4] in TIFF_STARTS:
        check_tiff(name, data)


def check_jpeg(name: str, data: bytes) -> None:
    """Limits of what comes before the first scan, and of the number of scans."""
    # Segments before the pixels.
    exif = pixels = 0
    for parts, (marker, start, end) in enumerate(segments(data), start=1):
        if marker == APP1 and data[start : start + 6] == b"Exif\0\0":
            exif += end - start
        if exif > MAX_EXIF or start > MAX_METADATA or parts > MAX_PARTS:
            excess = f"more than {parts} parts" if parts > MAX_PARTS else "too much metadata"
            raise ImageError(
                f"{name}: {excess} before the picture ({end / 2**20:.3g} MiB of "
                f"{len(data) / 2**20:.3g}); save it again without metadata"
            )
        pixels = end

    # Scans, up to the end of the image.
    last = data.find(b"\xff\xd9", pixels)
    scans = data.count(b"\xff\xda", pixels, last if last >= 0 else len(data))
    if scans > MAX_SCANS:
        raise ImageError(
            f"{name}: a JPEG of {scans} scans, at most {MAX_SCANS} are read; save it again"
        )


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of the content of each segment up to the first scan, if there is one."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        filled = FILLING.match(data, position)
        end = filled.end() if filled else position
        marker = data[end] if end < len(data) else START_OF_SCAN
        if marker == START_OF_SCAN:
            return
        length = 0 if marker in STANDALONE else int.from_bytes(data[end + 1 : end + 3], "big")
        start, position = (end + 3 if length else end + 1), end + 1 + length
        yield marker, start, position


def check_png(name: str, data: bytes) -> None:
    """The limit of the number of chunks."""
    position, parts = 8, 0
    while position + 8 <= len(data):
        position += 12 + int.from_bytes(data[position : position + 4], "big")
        parts += 1
        if parts > MAX_PARTS:
            raise ImageError(f"{name}: a PNG of more than {MAX_PARTS} chunks; save it again")


def check_tiff(name: str, data: bytes) -> None:
    """The limit of the number of pages; a chain that leaves the file is left to the decoder."""
    order, count, entry, offset = TIFF_STARTS[data[:4]]
    width = struct.calcsize(offset)
    position = width if width == 8 else 4
    try:
        for _ in range(MAX_PAGES + 1):
            (position,) = struct.unpack_from(order + offset, data, position)
            if position == 0:
                return
            (entries,) = struct.unpack_from(order + count, data, position)
            position += struct.calcsize(count) + entry * entries
    except struct.error:
        return
    raise ImageError(f"{name}: a TIFF of more than {MAX_PAGES} pages; save the one you mean")
