"""Small files that ask for much are refused after little work and with little memory."""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path

import pytest
import torch
from bounded import at_most, in_little_memory
from checkpoint_files import read_bytes, refuse_bytes
from pickle_writer import (
    Raw,
    ada_state,
    as_dict,
    encode,
    node_of,
    root_of,
    tensor_node,
    write_pickle,
)

from invert.checkpoints import pickle_stack
from invert.checkpoints.pickle_machine import read_pickle
from invert.errors import ModelFileError

START = b"\x80\x04"


MEMORY = 200  # megabytes
N = 2_000_000


@pytest.mark.parametrize(
    "code",
    [
        b")" + b"\x85" * N + b".",  # tuples from the inside out
        b"(" * N + b"t" * N + b".",  # from the outside in
        b"]" * N + b"a" * N + b".",
        b"](" * N + b"e" * N + b".",
        b"}" + b"}K\x00}" * N + b".",
        b"N" + b"\x85" * (pickle_stack.MAX_DEPTH + 1) + b".",
        b"ccollections\nOrderedDict\n" * 60 + b")" + b"R\x85" * 60 + b".",  # calls of calls
    ],
)
@in_little_memory(MEMORY)
def test_deep_nesting_is_refused_at_once(code: bytes) -> None:
    with at_most(500_000), pytest.raises(ModelFileError, match="too deep for a model file"):
        read_pickle(io.BytesIO(START + code), frozenset({"collections.OrderedDict"}))


@in_little_memory(MEMORY)
def test_nesting_up_to_the_limit_is_read() -> None:
    value: object = ()
    for _ in range(pickle_stack.MAX_DEPTH):
        value = [value]
    assert read_pickle(io.BytesIO(pickle.dumps(value)), frozenset()).root == value


@in_little_memory(MEMORY)
def test_a_chain_that_deepens_through_the_memo_does_no_harm(tmp_path: Path) -> None:
    """Each list is filled after it was put into the one before, which no depth counter sees."""
    code = START + b"]\x94"
    for k in range(1, 30_000):
        code += b"j" + struct.pack("<I", k - 1) + b"]\x94a0"  # memo[k-1].append(new list)
    code += b"j" + struct.pack("<I", 0) + b"."  # the first list stays below it
    with at_most(3_000_000):
        refuse_bytes(tmp_path, code, "unfinished object")


@in_little_memory(MEMORY)
def test_opcodes_are_limited() -> None:
    code = START + b"N0" * N + b"N."

    with at_most(3_000_000), pytest.raises(ModelFileError, match="more than 400000 opcodes"):
        read_pickle(io.BytesIO(code), frozenset())


@in_little_memory(MEMORY)
def test_giant_integers_are_refused() -> None:
    for code in (
        b"\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20),
        b"\x8a\xff" + b"\x7f" * 255,
    ):
        with pytest.raises(
            ModelFileError, match=r"an integer of \d+ bits; no model file needs one"
        ):
            read_pickle(io.BytesIO(START + code + b"."), frozenset())
    with pytest.raises(ModelFileError, match="damaged or cut off"):
        read_pickle(io.BytesIO(START + b"\x8b\xff\xff\xff\xff."), frozenset())  # a negative length
    with pytest.raises(ModelFileError, match="damaged or cut off"):
        # 2^63 bytes to come
        read_pickle(io.BytesIO(START + b"\x8e" + b"\xff" * 7 + b"\x7f."), frozenset())


def laughs(width: int, levels: int) -> Raw:
    """Opcodes for a list of `width` references to a list of `width` references to ...: width^levels
    leaves.
    """
    code = b"]\x94"
    for k in range(levels):
        code += b"](" + (b"j" + struct.pack("<I", k)) * width + b"e\x94"
    return Raw(code + b"0" * (levels + 1) + b"j" + struct.pack("<I", levels))


@in_little_memory(MEMORY)
def test_a_billion_laughs_are_not_told(tmp_path: Path) -> None:
    root = root_of("ada_tiny.pkl")
    root["training_set_kwargs"] = {"laughs": laughs(50, 30)}
    data = write_pickle(root)
    with at_most(1_000_000):
        read_bytes(tmp_path, data)
    refuse_bytes(tmp_path, START + laughs(50, 30) + b".", "this is a pickle of a list of length 50")


@in_little_memory(MEMORY)
def test_a_module_inside_itself_is_refused(tmp_path: Path) -> None:
    fc0 = as_dict(ada_state(root_of("ada_tiny.pkl"), "mapping")["_modules"])["fc0"]
    fc0.args[0]["state"]["_modules"] = Raw(b"")
    # state dict memoized (LONG_BINPUT 1) before its `_modules` is set to a dict that holds the
    # module again
    code = encode(fc0.function) + b"}" + b"\x94" + encode("type") + encode("class") + b"s"
    for key in ("version", "module_src", "class_name"):
        code += encode(key) + encode(fc0.args[0][key]) + b"s"
    code += (
        encode("state") + b"}" + encode("_modules") + b"}" + b"r\x99\x00\x00\x00" + b"ss" + b"\x85R"
    )
    code += (
        b"r\x9a\x00\x00\x00"
        + b"0"
        + b"j\x99\x00\x00\x00"
        + encode("again")
        + b"j\x9a\x00\x00\x00"
        + b"s0"
    )
    code += b"j\x9a\x00\x00\x00"
    root = root_of("ada_tiny.pkl")
    as_dict(ada_state(root, "mapping")["_modules"])["loop"] = Raw(code)
    data = write_pickle(root)
    with at_most(1_000_000):
        refuse_bytes(tmp_path, data, "the generator has more than 1000 modules")


@in_little_memory(MEMORY)
def test_one_array_mentioned_often_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    tensor = encode(tensor_node(torch.zeros(1 << 20)))
    root = root_of("ada_tiny.pkl")
    first = Raw(tensor + b"r\x99\x00\x00\x00")
    again = Raw(b"j\x99\x00\x00\x00")
    as_dict(ada_state(root, "mapping")["_parameters"]).update(
        {"x0": first} | {f"x{k}": again for k in range(1, 200)}
    )
    refuse_bytes(tmp_path, write_pickle(root), "the tensors ask for more bytes than the file has")
    root = root_of("tf_tiny.pkl")
    array = Raw(encode(node_of(torch.zeros(1 << 20).numpy())) + b"r\x99\x00\x00\x00")
    variables = root[2].state["variables"]
    variables += [("x0", array), *((f"x{k}", again) for k in range(1, 200))]
    refuse_bytes(tmp_path, write_pickle(root), "the tensors ask for more bytes than the file has")


@in_little_memory(MEMORY)
def test_one_module_cannot_have_countless_entries(tmp_path: Path) -> None:
    root = root_of("ada_tiny.pkl")
    as_dict(ada_state(root, "mapping")["_buffers"]).update({f"x{k}": None for k in range(1_001)})
    refuse_bytes(
        tmp_path, write_pickle(root), r"mapping\._buffers has entries that no torch module has"
    )


@in_little_memory(MEMORY)
def greedy() -> None:
    bytearray(2 * MEMORY << 20)


def test_the_bound_on_memory_holds_after_larger_tests() -> None:
    bytearray(2 * MEMORY << 20)  # the peak of this process from here on
    with pytest.raises(pytest.fail.Exception, match="MemoryError"):
        greedy()


def test_the_bound_on_work_counts_calls() -> None:
    with pytest.raises(AssertionError, match="expected at most 100"), at_most(100):
        sum([abs(k) for k in range(101)])
