"""Checks on the zip container of torch.save, before torch sees it.

torch reads these archives with another zip library than Python's. What is checked here with one
must be what the other reads, so only the plain archives that torch itself writes pass: members
stored, not compressed, one after another from the first byte on, names unique even if case is
ignored, the directory at the very end.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

from invert.checkpoints.nodes import quoted
from invert.errors import ModelFileError

MAX_MEMBERS = 20_000
DAMAGED = (  # what zipfile raises for archives that it cannot read
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError),
    *(EOFError, struct.error, OSError),
)
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")  # end of central directory
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")


@dataclass(frozen=True)
class Archive:
    """A checked archive: the bytes of `data.pkl`, and those of each storage by key."""

    pickle: bytes
    storages: Mapping[str, memoryview]


def read_archive(data: bytes) -> Archive:
    """The torch.save archive in `data`; ModelFileError for any other, damaged or ambiguous zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # Members, from the names to the checksums.
            members = archive.infolist()
            names = [member.filename for member in members]
            _check_unique(names)
            prefix = _prefix(names)
            _check_members(data, members)
            damaged = archive.testzip()
            if damaged is not None:
                raise ModelFileError(
                    f"checksum of {quoted(damaged)} differs; the file is damaged, download it again"
                )

            # Byte order, where it is stated, and the pickle.
            if f"{prefix}/byteorder" in names and archive.read(f"{prefix}/byteorder") != b"little":
                raise ModelFileError(
                    "the tensors are big-endian; only little-endian files are supported"
                )
            pickle = archive.read(f"{prefix}/data.pkl")
    except DAMAGED:
        raise ModelFileError(
            "a damaged or cut-off torch.save archive; copy or download it again"
        ) from None

    # Storages, which are not copied.
    start = f"{prefix}/data/"
    storages = {
        m.filename[len(start) :]: _content(data, m) for m in members if m.filename.startswith(start)
    }
    return Archive(pickle, storages)


def _content(data: bytes, member: zipfile.ZipInfo) -> memoryview:
    """The bytes of a member whose header has been checked: stored as they are, behind it."""
    fields = _LOCAL_HEADER.unpack_from(data, member.header_offset)
    start = member.header_offset + _LOCAL_HEADER.size + fields[9] + fields[10]
    return memoryview(data)[start : start + member.file_size]


def _prefix(names: list[str]) -> str:
    """The one folder of the archive, which holds `data.pkl`."""
    # Archives of others.
    if any(name.endswith(".npy") for name in names):
        raise ModelFileError("a NumPy .npz archive; a generator or a torch.save file was expected")
    if any(name.split("/", 1)[-1] == "constants.pkl" for name in names):
        raise ModelFileError(
            "a TorchScript archive, which contains code; "
            "save its state_dict with torch.save instead"
        )

    folders = {name.split("/", 1)[0] for name in names}
    pickles = [name for name in names if name.rsplit("/", 1)[-1] == "data.pkl"]
    if len(folders) != 1 or pickles != [f"{min(folders)}/data.pkl"]:
        raise ModelFileError(
            "a zip archive, but not one written by torch.save; "
            "if the model is inside, unpack it first"
        )
    return min(folders)


def _check_unique(names: list[str]) -> None:
    if len(names) > MAX_MEMBERS:
        raise ModelFileError(
            f"the archive has {len(names)} members, at most {MAX_MEMBERS} are expected"
        )
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise ModelFileError(
                f"the archive has two members called {quoted(name)}; do not trust it"
            )
        seen.add(name.casefold())


def _check_members(data: bytes, members: list[zipfile.ZipInfo]) -> None:
    """Members are stored under plain names, one after another, and the directory follows them."""
    for member in members:
        path, name = member.filename, quoted(member.filename)
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise ModelFileError(
                f"member {name} is compressed, torch.save never does that; save the model again"
            )
        if not path.isascii() or "\\" in path or ".." in path.split("/") or member.flag_bits & 1:
            raise ModelFileError(f"the archive has a member called {name}; do not trust this file")

    position = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        position = _check_local_header(data, member, position)
    _check_directory(data, position)


def _check_local_header(data: bytes, member: zipfile.ZipInfo, position: int) -> int:
    """The end of the member's data. The header before it must repeat what the directory says."""
    start = member.header_offset
    signature, _, flags, method, *_, name_size, extra_size = _LOCAL_HEADER.unpack_from(data, start)
    name_start = start + _LOCAL_HEADER.size
    content = name_start + name_size + extra_size
    name = data[name_start : name_start + name_size]

    # torch leaves at most a data descriptor of 24 bytes between members.
    if not position <= start <= position + 24 or (position == 0 and start != 0):
        raise ModelFileError(
            "members of the archive overlap or leave room between them; do not trust this file"
        )
    if signature != b"PK\x03\x04" or method != 0 or flags & 1 or name != member.filename.encode():
        raise ModelFileError(
            f"the archive gives two accounts of {quoted(member.filename)}; do not trust this file"
        )
    return content + member.file_size


def _check_directory(data: bytes, position: int) -> None:
    """The central directory must follow the last member, and nothing may follow the directory."""
    # The end record, without a comment.
    end = len(data) - _END.size
    signature, *_, size, offset, comment = _END.unpack_from(data, end)
    if signature != b"PK\x05\x06" or comment:
        raise ModelFileError("bytes follow the end of the archive; do not trust this file")

    # With a locator before it, where the archive is a zip64.
    directory_end = end
    locator = end - _LOCATOR64.size
    if data[locator : locator + 4] == b"PK\x06\x07":
        _, _, end64, _ = _LOCATOR64.unpack_from(data, locator)
        signature, *_, size, offset = _END64.unpack_from(data, end64)
        if signature != b"PK\x06\x06" or end64 + _END64.size != locator:
            raise ModelFileError("the archive's directory is inconsistent; do not trust this file")
        directory_end = end64

    if offset + size != directory_end or not position <= offset <= position + 24:
        raise ModelFileError("the archive's directory is not where it says; do not trust this file")
