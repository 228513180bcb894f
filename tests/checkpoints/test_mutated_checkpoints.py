"""Whatever is done to a checkpoint's bytes, reading it ends soon, in a checkpoint or in one
ModelFileError.
"""

from __future__ import annotations

import pickletools
import zipfile
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from bounded import at_most, in_little_memory
from checkpoint_files import read_bytes
from pickle_writer import FIXTURES

from invert.checkpoints import read_checkpoint, write_checkpoint
from invert.errors import ModelFileError

NAMES = (
    "ada_tiny.pkl",
    "ada_tiny_conditional.pkl",
    "ada_tiny_fp16clamp.pkl",
    "ada_tiny_resnet.pkl",
    "tf_tiny.pkl",
    "rosinality_tiny.pt",
    "ours",
)
WORK = 1_000_000  # calls for one file; `ENDLESS` bounds those of all
COUNTED = 10  # calls are counted in every tenth file: it takes longer than to read them
MEMORY = 512  # megabytes

_OPCODES = b"".join(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)


@cache
def original(name: str, folder: Path) -> tuple[bytes, tuple[int, ...]]:
    """(the file, positions where its structure is rather than the numbers of its tensors)."""
    if name == "ours":
        write_checkpoint(folder / name, read_checkpoint(FIXTURES / "tf_tiny.pkl"))
        data = (folder / name).read_bytes()
        return data, tuple(range(8 + int.from_bytes(data[:8], "little")))
    data = (FIXTURES / name).read_bytes()
    if name.endswith(".pkl"):
        return data, tuple(
            position for _, _, position in pickletools.genops(data) if position is not None
        )
    with zipfile.ZipFile(FIXTURES / name) as archive:
        members = archive.infolist()
        headers = [member.header_offset + k for member in members for k in range(60)]
        pickle = next(member for member in members if member.filename.endswith("data.pkl"))
        return data, (*headers, *range(pickle.file_size), *range(archive.start_dir, len(data)))


def mutate(data: bytes, structure: tuple[int, ...], rng: np.random.Generator) -> bytes:
    """`data` after one to four random changes, three quarters of them where its structure is."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        position = (
            int(rng.choice(structure)) if rng.random() < 0.75 else int(rng.integers(len(data)))
        )
        position = min(position, len(out) - 1)
        size = int(rng.integers(1, 64))
        kind = rng.choice(
            ["bit", "byte", "opcode", "number", "delete", "insert", "splice", "cut"], p=_WEIGHTS
        )
        if kind == "bit":
            out[position] ^= 1 << int(rng.integers(8))
        elif kind == "byte":
            out[position] = int(rng.integers(256))
        elif kind == "opcode":
            out[position] = _OPCODES[int(rng.integers(len(_OPCODES)))]
        elif kind == "number":
            out[position + 1 : position + 5] = rng.choice(
                [b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xff" * 4, b"\0" * 4]
            )
        elif kind == "delete":
            del out[position : position + size]
        elif kind == "insert":
            out[position:position] = rng.bytes(size)
        elif kind == "splice":
            source = int(rng.choice(structure))
            out[position : position + size] = data[source : source + int(rng.integers(1, 64))]
        elif kind == "cut":
            del out[position:]
        if not out:
            break
    return bytes(out)


_WEIGHTS = [0.2, 0.1, 0.25, 0.1, 0.1, 0.1, 0.12, 0.03]


def survive(name: str, count: int, folder: Path) -> None:
    data, structure = original(name, folder)
    refused = 0
    for seed in range(count):
        mutated = mutate(data, structure, np.random.default_rng([seed, len(data)]))
        try:
            with at_most(WORK) if seed % COUNTED == 0 else nullcontext():
                # asserts that nothing was imported, executed, written or started
                read_bytes(folder, mutated)
        except ModelFileError as error:
            refused += 1
            message = str(error)
            assert "\n" not in message, seed
            assert "weights_only" not in message, seed
            assert message.isprintable(), seed
            assert len(message) < 2_000, seed
        except Exception as error:
            pytest.fail(f"{name}, mutation {seed}: {error!r}")
    assert refused > count / 4  # the mutations do bite


@pytest.mark.parametrize("name", NAMES)
@in_little_memory(MEMORY)
def test_200_mutations_of_every_format_end_in_a_checkpoint_or_a_refusal(
    name: str, tmp_path: Path
) -> None:
    survive(name, 200, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@in_little_memory(MEMORY)
def test_2000_mutations_of_every_format_end_in_a_checkpoint_or_a_refusal(
    name: str, tmp_path: Path
) -> None:
    survive(name, 2_000, tmp_path)
