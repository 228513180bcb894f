"""Numpy files from strangers: sizes and types are read from headers and checked before anything is
allocated.
"""

from __future__ import annotations

import io
import math
import zipfile

import numpy as np

from invert.errors import ModelFileError

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"
MAX_ARRAY_BYTES = 64 << 20  # 512 components of 18 layers in float64 are 38 MB
MAX_MEMBERS = 100


def read_npy(data: bytes) -> np.ndarray:
    """The float array in the bytes of a `.npy` file; ModelFileError does not name the file."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if reader is None:
            raise ModelFileError(
                f"numpy format {version[0]}.{version[1]}; save the array again with numpy.save"
            )
        shape, _, dtype = reader(stream)
        if dtype.hasobject:
            raise ModelFileError(
                "an array of Python objects, which could run code when loaded; save a float array"
            )
        if dtype.kind != "f" or dtype.itemsize > 8:
            raise ModelFileError(f"an array of {dtype}, expected float16, float32 or float64")
        expected, found = math.prod(shape) * dtype.itemsize, len(data) - stream.tell()
        if expected != found or expected > MAX_ARRAY_BYTES:
            raise ModelFileError(
                f"the header asks for {expected} bytes, the file has {found}, at most "
                f"{MAX_ARRAY_BYTES} are read; "
                "the file is damaged"
            )
        stream.seek(0)
        array: np.ndarray = np.load(stream, allow_pickle=False)
        return array.astype(dtype.newbyteorder("="), copy=False)  # torch takes no other order
    except ModelFileError:
        raise
    # numpy evaluates the header's text with Python's tokenizer, which raises what it likes
    except Exception as error:
        raise ModelFileError(
            f"a damaged .npy file ({type(error).__name__}); copy or download it again"
        ) from None


class NpzArchive:
    """The arrays of a `.npz` by name, each checked by its declared size before it is inflated."""

    def __init__(self, data: bytes) -> None:
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            raise ModelFileError(
                "a damaged or cut-off .npz archive; copy or download it again"
            ) from None

        # Arrays and nothing else, each once.
        members = self._archive.infolist()
        self.names = [
            m.filename.removesuffix(".npy") for m in members if m.filename.endswith(".npy")
        ]
        if (
            len(self.names) != len(members)
            or len(set(self.names)) != len(members)
            or len(members) > MAX_MEMBERS
        ):
            raise ModelFileError(
                "a zip archive, but not one written by numpy.savez; "
                "if the file is inside, unpack it first"
            )

    def read(self, name: str) -> np.ndarray:
        """The float array `name`. Raises ModelFileError without naming the file."""
        member = f"{name}.npy"
        size = self._archive.getinfo(member).file_size
        if size > MAX_ARRAY_BYTES:
            raise ModelFileError(
                f"array {name!r} inflates to {size} bytes, the limit is {MAX_ARRAY_BYTES}; "
                "save fewer"
            )

        try:
            # reads no more than the declared size, and checks the sum
            data = self._archive.read(member)
        except Exception as error:  # each compression has an error class of its own
            raise ModelFileError(
                f"a damaged .npz archive ({type(error).__name__}); copy or download it again"
            ) from None
        return read_npy(data)
