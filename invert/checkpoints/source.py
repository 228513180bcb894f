"""The bytes of a model file, what kind of file they are by content, and its name in every error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from invert.errors import ModelFileError
from invert.files.regular_files import read_regular

MAX_FILE_BYTES = 4 << 30  # ten times the largest official generator


class Kind(Enum):
    """Containers that a reader exists for."""

    SAFETENSORS = "a safetensors file"
    PICKLE = "a bare pickle"
    TORCH_ZIP = "a torch.save file"
    TORCH_STREAM = "a torch.save file from before torch 1.6"


TORCH_STREAM_START = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")  # PROTO 2, LONG1 magic number

_FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"\xfd7zXZ\x00", "xz-compressed; unpack it first"),
    (b"BZh", "bzip2-compressed; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (
        b"\x89HDF",
        "an HDF5 file; only PyTorch, TensorFlow-pickle and safetensors generators are supported",
    ),
    (
        b"\x93NUMPY",
        "a NumPy array; a generator was expected, directions and latents are imported elsewhere",
    ),
    (b"\x89PNG", "a PNG image; a model was expected"),
    (b"\xff\xd8\xff", "a JPEG image; a model was expected"),
    (b"%PDF", "a PDF document; a model was expected"),
)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Every ModelFileError raised inside starts with `path`."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{os.fspath(path)}: {error}") from None


def read_file(path: str | os.PathLike[str], max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """The whole regular file, read once, so that what is checked is what is used.

    Raises ModelFileError when it is missing, empty, no regular file, unreadable, or larger than
    `max_bytes`.
    """
    try:
        data = read_regular(path, max_bytes)
    except FileNotFoundError:
        raise ModelFileError("no such file; check the path") from None
    except OSError as error:
        raise ModelFileError(
            f"cannot be read ({error.strerror or error}); check the path"
        ) from None
    if not data:
        raise ModelFileError("an empty file; copy or download it again")
    return data


def sniff(data: bytes) -> Kind:
    """The container that `data` is, by its first bytes. Raises ModelFileError for other kinds."""
    # First, as the length that a safetensors file begins with may look like the start of another.
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8:
        return Kind.SAFETENSORS

    # Files of others, each called by its name.
    for start, what in _FOREIGN:
        if data.startswith(start):
            raise ModelFileError(f"this is {what}")
    text = data[:1024].lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<svg")):
        raise ModelFileError(
            "this is a web page, probably an error page of the server; download the model again"
        )
    if data[257:262] == b"ustar":
        raise ModelFileError("this is a tar archive; unpack it first")

    # Containers of models.
    if data.startswith(TORCH_STREAM_START):
        return Kind.TORCH_STREAM
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return Kind.PICKLE
    if data.startswith(b"PK\x03\x04"):
        return Kind.TORCH_ZIP
    if data[8:9] == b"{":
        return Kind.SAFETENSORS
    raise ModelFileError(
        f"no known model format (it starts with bytes {data[:8].hex(' ')}); supported: "
        "StyleGAN2-ADA .pkl, TensorFlow StyleGAN2 .pkl, rosinality .pt, invert .safetensors"
    )
