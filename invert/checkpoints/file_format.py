"""The files that invert writes: safetensors with one JSON object in the metadata, under `invert`.

Latents (`.safetensors`), directions, attribute models, encoders and checkpoints are such files. The
object names the kind of file, under `format` or `architecture`, and its `version`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from invert.arguments import plain
from invert.checkpoints.checkpoint import JSON
from invert.checkpoints.nodes import describe
from invert.checkpoints.safe_safetensors import NotOurs, load_safetensors, save_safetensors
from invert.checkpoints.source import MAX_FILE_BYTES, naming, read_file
from invert.errors import ModelFileError, UsageError
from invert.files.atomic_files import write_atomically
from invert.files.regular_files import is_missing


@dataclass(frozen=True)
class FileFormat:
    """One kind of file: how its metadata name it, which versions are read, how large it may be."""

    noun: str  # as errors call the file, without an article
    key: Literal["format", "architecture"]
    name: str  # what stands under `key`
    hint: str  # what to do with a file of another kind, or of a version that is no longer read
    versions: tuple[int, ...] = (1,)  # that are read; the last one is written
    max_bytes: int = MAX_FILE_BYTES

    @property
    def version(self) -> int:
        """The version that is written."""
        return self.versions[-1]

    @property
    def marks(self) -> dict[str, JSON]:
        """What the metadata of a file that is written now begin with."""
        return {self.key: self.name, "version": self.version}

    def write(
        self,
        path: str | os.PathLike[str],
        fields: Mapping[str, JSON],
        tensors: Mapping[str, Tensor],
        *,
        allow_nan: bool = True,
    ) -> None:
        """Write the file: the old one or the whole new one, never a torn one.

        Numbers of numpy and torch in `fields` are written as Python's. Raises :class:`UsageError`
        for `fields` that are no JSON or too large; NaN is none unless `allow_nan`.
        """
        try:
            header = self.marks | plain(fields)
            data = save_safetensors(header, tensors, allow_nan=allow_nan)
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{os.fspath(path)}: not written: its metadata cannot be stored ({error})"
            ) from error
        write_atomically(os.fspath(path), lambda file: file.write(data))

    def read(self, path: str | os.PathLike[str]) -> tuple[dict[str, JSON], dict[str, Tensor]]:
        """(metadata, tensors) of a file of this kind; what they hold is for the caller to check.

        Raises :class:`ModelFileError`: `PATH: what is wrong; what to do`.
        """
        with naming(path):
            return self.decode(self._bytes(Path(path)))

    def _bytes(self, path: Path) -> bytes:
        if is_missing(path):
            raise ModelFileError(f"no such file; expected {self.phrase}")
        if os.path.isfile(path) and (size := os.path.getsize(path)) > self.max_bytes:
            limit = f"larger than {self.max_bytes / 2**20:.4g} MiB: {size} bytes"
            raise ModelFileError(
                f"{limit}, {self.phrase} has at most {self.max_bytes}; check the path"
            )
        return read_file(path, self.max_bytes)

    def decode(self, data: bytes) -> tuple[dict[str, JSON], dict[str, Tensor]]:
        """`read` for bytes at hand; errors do not name the file."""
        try:
            metadata, tensors = load_safetensors(data)
        except NotOurs:
            raise self.refusal({}) from None
        self.check(metadata)
        return metadata, tensors

    def matches(self, metadata: object) -> bool:
        """Whether the metadata of a file say that it is of this kind, whatever its version."""
        return isinstance(metadata, dict) and metadata.get(self.key) == self.name

    def check(self, metadata: Mapping[str, JSON]) -> None:
        """Raise :class:`ModelFileError` for another kind of file or an unknown version."""
        if not self.matches(metadata):
            raise self.refusal(metadata)
        self.check_version(metadata)

    def check_version(self, metadata: Mapping[str, JSON]) -> None:
        """Raise :class:`ModelFileError` unless this version is read."""
        version = metadata.get("version")
        if type(version) is int and version in self.versions:
            return
        older = type(version) is int and version < self.versions[0]
        raise ModelFileError(
            f"{self.noun} format {describe(version)}, expected {self.version}; "
            + (self.hint if older else "update invert")
        )

    def refusal(self, metadata: object) -> ModelFileError:
        """The error for a file of another kind, which says what that file calls itself."""
        named = metadata if isinstance(metadata, dict) else {}
        kind = named.get("format", named.get("architecture"))
        called = "nothing in it says so" if kind is None else f"it says that it is {describe(kind)}"
        return ModelFileError(f"not {self.phrase} of invert ({called}); {self.hint}")

    @property
    def phrase(self) -> str:
        """The noun with its article."""
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"
