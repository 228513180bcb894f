"""Hostile and damaged pickles are refused with the reason, and nothing is imported, executed,
written or started.
"""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from audit import forbidden_events
from checkpoint_files import read_bytes, refuse_bytes
from pickle_writer import (
    FIXTURES,
    ada_state,
    as_dict,
    call,
    encode,
    root_of,
    write_pickle,
)

from invert.checkpoints import read_checkpoint
from invert.checkpoints.nodes import Call
from invert.checkpoints.pickle_machine import read_pickle
from invert.checkpoints.torch_storage import MAGIC_NUMBER
from invert.errors import ModelFileError

START = b"\x80\x04"


def payload(tmp_path: Path) -> Call:
    return call("os.system", f"touch {tmp_path / 'sentinel'}")


def test_the_audit_hook_notices_what_an_unpickler_does(tmp_path: Path) -> None:
    """`read_bytes` and `refuse_bytes` assert that there are no such events."""
    data = pickle.dumps(Executes(str(tmp_path / "sentinel")))
    with forbidden_events() as events:
        pickle.loads(data)
        (tmp_path / "written").write_bytes(b"")
    found = {event.split()[0] for event in events}
    assert {"pickle.find_class", "exec", "compile", "open", "os.mkdir"} <= found


class Executes:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return exec, (f"import os; os.mkdir({self.path!r})",)


# faults 41 to 46: code


def in_training_settings(node: object) -> bytes:
    root = root_of("ada_tiny.pkl")
    root["training_set_kwargs"] = node
    return write_pickle(root)


def test_a_call_of_os_system_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    evil = payload(tmp_path)
    match = "the pickle names os.system, which this kind of file does not need; it was not imported"
    for data in (
        write_pickle(evil),
        write_pickle(evil, 2),
        write_pickle({"G_ema": evil}),
        in_training_settings({"path": evil}),
        write_pickle((None, None, evil)),
        write_pickle(evil)[:-1] + b"\xff\xff garbage",  # broken after the payload
        write_pickle(evil)[:-1],
    ):
        refuse_bytes(tmp_path, data, match)
    assert not (tmp_path / "sentinel").exists()


def torch_stream(
    root: object, *, system: dict | None = None, keys: list | None = None, raw: bytes = b""
) -> bytes:
    """The stream of torch.save before 1.6, with any object in it."""
    header = (MAGIC_NUMBER, 1001, {"little_endian": True} if system is None else system)
    return (
        b"".join(write_pickle(part, 2) for part in (*header, root, [] if keys is None else keys))
        + raw
    )


def with_storage(data: object) -> bytes:
    """ada_tiny.pkl, the storage of one of its weights replaced by these bytes."""
    root = root_of("ada_tiny.pkl")
    node = as_dict(ada_state(root, "mapping", "fc0")["_parameters"])["bias"]
    tensor = node.args[0]
    storage = call("torch.storage._load_from_bytes", data)
    as_dict(ada_state(root, "mapping", "fc0")["_parameters"])["bias"] = call(
        "torch._utils._rebuild_tensor_v2", storage, *tensor.args[1:]
    )
    return write_pickle(root)


def test_a_payload_inside_an_embedded_stream_is_refused(tmp_path: Path) -> None:
    evil = payload(tmp_path)
    refuse_bytes(tmp_path, with_storage(write_pickle(evil, 2)), "the pickle names os.system")
    refuse_bytes(tmp_path, with_storage(torch_stream(evil)), "the pickle names os.system")
    nested = call("torch.storage._load_from_bytes", torch_stream(evil))
    refuse_bytes(
        tmp_path, with_storage(torch_stream(nested)), "names torch.storage._load_from_bytes"
    )


def test_source_code_is_never_executed(tmp_path: Path) -> None:
    source = f"open({str(tmp_path / 'sentinel')!r}, 'w')"
    root = root_of("ada_tiny.pkl")
    root["G_ema"].args[0]["module_src"] = source
    read_bytes(tmp_path, write_pickle(root))
    root = root_of("tf_tiny.pkl")
    root[2].state["build_module_src"] = source
    read_bytes(tmp_path, write_pickle(root))


STR = encode


@pytest.mark.parametrize(
    ("code", "match"),
    [
        # names from the memo
        (STR("os") + b"\x94" + STR("system") + b"\x9400h\x00h\x01\x93.", "names os.system"),
        (STR("os") + STR("path.join") + b"\x93.", r"names os\.path\.join"),
        (b"cos\npath.join\n.", r"names os\.path\.join"),
        # escapes are not resolved
        (b"ccollecti\\x6fns\nOrderedDict\n.", r"names collecti.*x6fns\.OrderedDict"),
        (b"cos\nsystem", "damaged or cut off"),
        (
            STR("torch") + STR("_utils._rebuild_tensor_v2") + b"\x93.",
            r"names torch\._utils\._rebuild_tensor_v2",
        ),
        (b"ccopyreg\n_reconstructor\n.", "names copyreg._reconstructor"),
        (b"cpkgutil\nresolve_name\n.", "names pkgutil.resolve_name"),
        (b"cbuiltins\ngetattr\n.", "names builtins.getattr"),
        (b"c__builtin__\neval\n.", "names __builtin__.eval"),
        (b"cnumpy\nload\n.", "names numpy.load"),
        (b"ctorch\nload\n.", "names torch.load"),
        (b"c\x1b[31mos\nsystem\n.", r"names \\x1b\[31mos\.system"),  # no terminal codes in messages
        (b"K\x01K\x02\x93.", "builds a global name from something that is no text"),
        (b"(S'x'\nios\nsystem\n.", "uses opcode STRING"),
        (b"(ios\nsystem\n.", "uses opcode INST"),
        (b"(cos\nsystem\no.", "names os.system"),
        (b"(o.", "uses opcode OBJ"),
        (b"\x82\x01.", "uses opcode EXT1"),
        (b"\x83\x01\x00.", "uses opcode EXT2"),
        (b"\x84\x01\x00\x00\x00.", "uses opcode EXT4"),
        (b"\x92.", "uses opcode NEWOBJ_EX"),
        (b"\x97.", "uses opcode NEXT_BUFFER"),
        (b"P0\n.", "uses opcode PERSID"),
        (b"K\x01Q.", "uses opcode BINPERSID"),
        (b"I1\n.", "uses opcode INT"),
        (b"2.", "uses opcode DUP"),
        (b"\xff.", "byte ff is no pickle opcode"),
        (b"N\x80\x04.", "does not start with its protocol"),
        (b"ccollections\nOrderedDict\n)RbN.", "damaged or cut off"),
        (b"ccollections\nOrderedDict\nNb.", "sets the state of the name collections.OrderedDict"),
        (b"ccollections\nOrderedDict\n(N}t\x86b.", "damaged or cut off"),
        (
            b"ccollections\nOrderedDict\nN}\x86b.",
            "sets the state of the name collections.OrderedDict",
        ),
        (b"}Nb.", "sets the state of a dict"),
        (
            b"ccollections\nOrderedDict\n)R}b}b.",
            "sets the state of a collections.OrderedDict object",
        ),
        (b"ccollections\nOrderedDict\n)R)R.", "calls a collections.OrderedDict object"),
        (b"ccollections\nOrderedDict\nNR.", "calls the name collections.OrderedDict"),
        (b"N)R.", "calls None"),
        (b"K\x01NNs.", "sets items of 1"),
        (b"](K\x01K\x02u.", "sets items of a list"),
        (b"}(K\x01u.", "damaged or cut off"),
        (b"})Ns.", "uses a tuple of length 0 as a dict key"),
        (b"}G" + bytes(8) + b"Ns.", r"uses 0\.0 as a dict key"),
        (b"}\x8a\x09" + b"\xff" * 8 + b"\x7fNs.", "as a dict key"),
        (b"NNa.", "appends to None"),
        (b"\x8fNa.", "appends to a set"),
        (b"}(Ne.", "appends to a dict"),
        (b"](K\x01\x90.", "adds to a list"),
        (b"\x8f(]\x90.", "uses a list of length 0 as a dict key"),
        (b"NN.", "unfinished object"),
        (b"(N.", "unfinished object"),
        (b".", "damaged or cut off|unfinished object"),
        (b"h\x05.", "damaged or cut off"),
        (b"0.", "damaged or cut off"),
        (b"\x87.", "damaged or cut off"),
        (b"1.", "damaged or cut off"),
        (b"\x8c\x02\xff\xff.", "damaged or cut off"),  # not UTF-8
        (b"N", "the pickle is cut off"),
    ],
)
def test_every_trick_of_the_pickle_language_is_refused(
    code: bytes, match: str, tmp_path: Path
) -> None:
    refuse_bytes(tmp_path, START + code, match)


def test_unknown_protocols_are_refused() -> None:
    with pytest.raises(ModelFileError, match="pickle protocols 2 to 5 are supported, this is 6"):
        read_pickle(io.BytesIO(b"\x80\x06N."), frozenset())


def test_a_state_that_is_no_dict_is_refused_where_one_is_needed(tmp_path: Path) -> None:
    slots = call("dnnlib.tflib.network.Network", state=(None, {"version": 4}))
    refuse_bytes(tmp_path, write_pickle((None, None, slots)), "the state of Gs should be a dict")


# faults 47 to 51: damaged and foreign files


@pytest.mark.parametrize("name", ["ada_tiny.pkl", "tf_tiny.pkl", "rosinality_tiny.pt"])
def test_a_file_cut_off_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    data = (FIXTURES / name).read_bytes()
    cuts = np.random.default_rng(0).integers(1, len(data), 60).tolist()
    for cut in {*range(1, 20), *cuts, *range(len(data) - 20, len(data))}:
        refuse_bytes(
            tmp_path, data[:cut], "damaged|cut off|no known model format|not where it says"
        )


def test_a_small_pickle_cut_off_at_every_byte_is_refused() -> None:
    data = write_pickle(
        {"a": [1, 2.5, ("x", b"y")], "b": {1, 2}, "c": call("collections.OrderedDict", state={})}
    )
    allowed = frozenset({"collections.OrderedDict"})
    assert read_pickle(io.BytesIO(data), allowed).root
    for cut in range(len(data)):
        with pytest.raises(ModelFileError, match="cut off"):
            read_pickle(io.BytesIO(data[:cut]), allowed)


def test_bytes_after_the_end_are_refused(tmp_path: Path) -> None:
    for name in ("ada_tiny.pkl", "tf_tiny.pkl"):
        data = (FIXTURES / name).read_bytes()
        refuse_bytes(
            tmp_path, data + b"\0", "1 bytes follow the end of the pickle; do not trust this file"
        )
        appended = (FIXTURES / "rosinality_tiny.pt").read_bytes()
        refuse_bytes(tmp_path, data + appended, "bytes follow the end of the pickle")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "an empty file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a Git LFS pointer; .*`git lfs pull`",
        ),
        (b"\n <!DOCTYPE html><html>404</html>", "a web page"),
        (b"<html>Google Drive - Virus scan warning", "a web page"),
        (b"\x1f\x8b\x08\x00", "gzip-compressed; unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\xfd7zXZ\x00", "xz-compressed"),
        (b"BZh9", "bzip2-compressed"),
        (bytes(257) + b"ustar\x00", "a tar archive"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"\x93NUMPY\x01", "a NumPy array"),
        (b"\x89PNG\r\n", "a PNG image"),
        (b"hello, world", "no known model format .it starts with bytes 68 65 6c"),
        (b"\x80\x06N.", "no known model format"),
    ],
)
def test_other_kinds_of_files_are_named(data: bytes, match: str, tmp_path: Path) -> None:
    message = refuse_bytes(tmp_path, data, match)
    assert "weights_only" not in message


def test_paths_that_are_no_regular_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file; check the path"):
        read_checkpoint(tmp_path / "missing")
    with pytest.raises(ModelFileError, match=r"Is a directory|not a regular file"):
        read_checkpoint(tmp_path)
    with pytest.raises(ModelFileError, match="not a regular file"):
        read_checkpoint("/dev/zero")
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_checkpoint("a\0b")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 5 << 30)
    with pytest.raises(ModelFileError, match=r"5368709120 bytes, the limit is 4294967296"):
        read_checkpoint(tmp_path / "large")


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ModelFileError, match="not a regular file"):
        read_checkpoint(tmp_path / "fifo")
