"""A symbolic pickle machine: it reads pickles and imports, constructs and calls nothing.

`pickle.Unpickler` executes whatever a file names, and restricting `find_class` does not close that:
BUILD still sets attributes on any object that is on the stack. Here a global becomes an inert
`Global`, REDUCE and NEWOBJ become a `Call`, BUILD fills the call's `state`, and the format readers
interpret the nodes they know. A file that would run code in its own loader is refused even where we
would never look (:mod:`foreign_names`); with `strict`, so is one that names anything beyond the
caller's list.

Opcodes of protocols 2 to 5 that CPython's pickler writes for plain data are supported; INST, OBJ,
EXT*, text-mode opcodes and out-of-band buffers are refused before their arguments are decoded.
Opcode syntax: `pickletools` (stdlib).
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from invert.checkpoints.nodes import Call, PersistentId
from invert.checkpoints.pickle_stack import HANDLERS, Machine
from invert.errors import ModelFileError

# A 32 px file with G, D and G_ema has 18 500 opcodes; a 1024 px one is 2.3 times as long.
MAX_OPCODES = 400_000


def _read_names(stream: BinaryIO) -> tuple[str, str]:
    """The two lines of a GLOBAL opcode as they stand, as unpicklers take them.

    The reader of pickletools would resolve escapes.
    """
    lines = stream.readline(), stream.readline()
    if not all(line.endswith(b"\n") for line in lines):
        raise ValueError
    return lines[0][:-1].decode(), lines[1][:-1].decode()


# Opcode byte → (name, reader of its argument).
_OPCODES: dict[bytes, tuple[str, Callable[[BinaryIO], Any] | None]] = {
    opcode.code.encode("latin-1"): (opcode.name, opcode.arg.reader if opcode.arg else None)
    for opcode in pickletools.opcodes
} | {b"c": ("GLOBAL", _read_names)}


@dataclass(frozen=True, eq=False, repr=False)
class Pickle:
    """One pickle as a graph of inert nodes."""

    root: object
    protocol: int
    calls: list[Call]  # every call in the file, in file order
    persistent_ids: list[PersistentId]


def read_pickle(
    stream: BinaryIO,
    allowed: frozenset[str],
    *,
    strict: bool = True,
    persistent: bool = False,
    max_opcodes: int = MAX_OPCODES,
) -> Pickle:
    """The pickle at the stream's position, as nodes; the stream is left behind its STOP.

    `allowed` are the names ("module.name") that are known. Others are refused, or, unless `strict`,
    stay inert where they run nothing. `persistent` admits persistent ids. Raises ModelFileError
    when the stream is damaged, names what it must not, or exceeds the limits.
    """
    machine = Machine(allowed, strict)
    protocol = -1

    try:
        for count in range(max_opcodes):
            opcode, arg = _read_opcode(stream, persistent)

            # The protocol stands at the very start, and there alone.
            if (opcode == "PROTO") != (count == 0):
                raise ModelFileError(
                    "the pickle does not start with its protocol; the file is damaged"
                )
            if opcode == "PROTO":
                protocol = arg
                if not 2 <= protocol <= 5:
                    raise ModelFileError(
                        f"pickle protocols 2 to 5 are supported, this is {protocol}"
                    )
            elif opcode == "STOP":
                return Pickle(machine.result(), protocol, machine.calls, machine.persistent_ids)
            else:
                machine.execute(opcode, arg)

    # pickletools' readers and stack underflow; the details of a damaged stream help nobody
    except (ValueError, IndexError, KeyError, OverflowError, EOFError, struct.error):
        raise ModelFileError(
            "the pickle is damaged or cut off; copy or download the file again"
        ) from None
    raise ModelFileError(
        f"the pickle has more than {max_opcodes} opcodes, no model file needs as many; "
        "do not trust it"
    )


def _read_opcode(stream: BinaryIO, persistent: bool) -> tuple[str, Any]:
    """(name, argument) of the next opcode; refused before its argument is decoded."""
    code = stream.read(1)
    if not code:
        raise ModelFileError("the pickle is cut off; copy or download the file again")
    if code not in _OPCODES:
        raise ModelFileError(f"byte {code.hex()} is no pickle opcode; the file is damaged")

    opcode, reader = _OPCODES[code]
    known = opcode in HANDLERS or opcode in ("PROTO", "STOP")
    if not known or (opcode == "BINPERSID" and not persistent):
        raise ModelFileError(
            f"the pickle uses opcode {opcode}, which no model file needs; do not trust this file"
        )
    return opcode, reader(stream) if reader is not None else None
