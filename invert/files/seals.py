"""Files that carry their own SHA-256, so that a flipped byte is noticed.

The digest lies in the header of a safetensors file, in its metadata. It is that of the file with
zeros in its place.
"""

from __future__ import annotations

import hashlib
import re

PLACE = "0" * 64  # what stands for the digest until it is known
KEY = "digest"
# JSON inside a string of JSON: its quotes are escaped.
SEAL = re.compile(rb'\\"digest\\": \\"([0-9a-f]{64})\\"')


def seal(data: bytes) -> bytes:
    """The bytes of a safetensors file whose metadata have `KEY`: `PLACE`, with the digest there."""
    return data.replace(PLACE.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def seal_holds(data: bytes) -> bool | None:
    """Whether the bytes are those that were sealed; None for a file without a seal."""
    header = 8 + int.from_bytes(data[:8], "little")
    found = SEAL.search(data, 0, min(header, len(data)))
    if found is None:
        return None
    digest, view = hashlib.sha256(), memoryview(data)
    for part in (view[: found.start(1)], PLACE.encode(), view[found.end(1) :]):
        digest.update(part)
    return digest.hexdigest().encode() == found[1]
