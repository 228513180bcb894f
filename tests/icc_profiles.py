"""ICC profiles for tests, written byte by byte [ICC.1:2001-04, clauses 6 and 7]."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

SRGB_COLUMNS = (  # X, Y, Z of red, green, blue, adapted to D50
    (0.4361, 0.2225, 0.0139),
    (0.3851, 0.7169, 0.0971),
    (0.1431, 0.0606, 0.7142),
)
WHITE = (0.9642, 1.0, 0.8249)  # D50


def icc_profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """A version 2 display profile: header, table of tags, tags."""
    description = b"desc\0\0\0\0\0\0\0\1" + bytes(79)
    tags = {b"desc": description, b"cprt": b"text" + bytes(8), b"wtpt": xyz(WHITE), **tags}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">III4s4s4s", start + len(body), 0, 0x02100000, b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + xyz(WHITE)[8:]
    return header.ljust(128, b"\0") + table + body


def xyz(values: Iterable[float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def rgb_profile(columns: Sequence[Iterable[float]], gamma: float) -> bytes:
    """Matrix profile: `columns` are X, Y, Z of red, green and blue light."""
    tags = {
        name: xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    }
    return icc_profile(
        b"RGB ", tags | {name: gamma_curve(gamma) for name in (b"rTRC", b"gTRC", b"bTRC")}
    )
