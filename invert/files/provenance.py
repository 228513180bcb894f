"""What a file was made from, written in the file itself: results are told from other files by it.

A record is a JSON object: `made_by`, the command, and `made_from`, one line for each source: "file
DIGEST" of a photograph or a table, "latent DIGEST", "seed 7", and "network NAME" or "network
FINGERPRINT", which is the same whatever kind of file the network lies in. A plain picture of a
latent only says which one it shows, {"latent": DIGEST}, so that whoever renders that latent writes
the same bytes.

It lies in the metadata of a latent, in the JSON under the key `invert` of other safetensors files
and in a PNG's text chunk of that name, in the comment of a GIF or MP4, in the EXIF description of
a WebP, and among the keys of a JSON report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

KEY = "invert"
EXIF_DESCRIPTION = 0x010E
Record = Mapping[str, Any]


def record(made_by: str, made_from: tuple[str, ...]) -> dict[str, Any]:
    """The record of a result."""
    return {"made_by": made_by, "made_from": list(made_from)}


def as_text(found: Record) -> str:
    """A record as it is written."""
    return json.dumps(dict(found), sort_keys=True)


def made_from(found: Record) -> tuple[str, ...] | None:
    """The sources that a record names; None where it names none."""
    sources = found.get("made_from")
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        return None
    return tuple(sources)
