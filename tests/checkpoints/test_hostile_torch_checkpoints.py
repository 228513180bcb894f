"""Hostile and damaged torch.save files are refused with the reason; nothing is executed."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_files import refuse_bytes, saved
from pickle_writer import FIXTURES, ada_state, as_dict, call, root_of, write_pickle

from invert.checkpoints.nodes import Call, Global, PersistentId
from invert.checkpoints.safe_torch import load_tensors
from invert.checkpoints.torch_storage import MAGIC_NUMBER

FLOAT = Global("torch", "FloatStorage")
LITTLE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}


def storage(
    numel: object = 4, key: object = "0", kind: object = FLOAT, *more: object
) -> PersistentId:
    return PersistentId(("storage", kind, key, "cpu", numel, *more))


def tensor(
    store: object,
    shape: object = (4,),
    strides: object = (1,),
    offset: object = 0,
    function: str = "_rebuild_tensor_v2",
) -> Call:
    return call(
        f"torch._utils.{function}",
        store,
        offset,
        shape,
        strides,
        False,
        call("collections.OrderedDict"),
    )


def stream(
    root: object,
    *,
    header: tuple = (MAGIC_NUMBER, 1001, LITTLE),
    keys: object = ("0",),
    raw: bytes | None = None,
) -> bytes:
    """The stream that torch.save wrote before 1.6, with anything in it."""
    raw = struct.pack("<q", 4) + bytes(16) if raw is None else raw
    pickles = (*header, root, list(keys) if isinstance(keys, tuple) else keys)
    return b"".join(write_pickle(part, 2) for part in pickles) + raw


def archive(
    root: object,
    *,
    members: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
    prefix: str = "m",
    pickle: bytes | None = None,
) -> bytes:
    """A zip like torch.save's, with anything in it; `members` come on top of, or replace, the usual
    ones.
    """
    content = {
        "data.pkl": write_pickle(root, 2) if pickle is None else pickle,
        "byteorder": b"little",
    }
    content |= {"data/0": bytes(16), "version": b"3\n"} | (members or {})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in content.items():
            file.writestr(f"{prefix}/{name}", data)
    return buffer.getvalue()


def embedded(
    data: bytes, shape: object = (16,), strides: object = (1,), offset: object = 0
) -> bytes:
    """ada_tiny.pkl with this stream, and this view into it, as one of its biases."""
    root = root_of("ada_tiny.pkl")
    store = call("torch.storage._load_from_bytes", data)
    as_dict(ada_state(root, "mapping", "fc0")["_parameters"])["bias"] = tensor(
        store, shape, strides, offset
    )
    return write_pickle(root)


def refuse_all(folder: Path, match: str, *, root: object) -> None:
    """The same object is refused in a stream and in a zip, with and without a dict around it."""
    for data in (stream(root), archive(root), stream({"g_ema": root}), archive({"g_ema": [root]})):
        message = refuse_bytes(folder, data, match)
        assert "weights_only" not in message


def test_what_these_tests_build_is_valid_when_nothing_is_wrong(tmp_path: Path) -> None:
    for data in (
        stream({"t": tensor(storage(4, "0", FLOAT, None))}),
        archive({"t": tensor(storage())}),
    ):
        (tmp_path / "m").write_bytes(data)
        assert torch.equal(load_tensors(tmp_path / "m")["t"], torch.zeros(4))


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "torch.load", "torch.serialization.load", "copyreg.x"]
)
def test_names_beyond_tensors_and_plain_data_are_refused(name: str, tmp_path: Path) -> None:
    evil = call(name, f"touch {tmp_path / 'sentinel'}")
    refuse_all(tmp_path, f"the pickle names {name}", root=evil)
    refuse_all(
        tmp_path,
        f"the pickle names {name}",
        root=tensor(storage(kind=Global(*name.rsplit(".", 1)))),
    )
    assert not (tmp_path / "sentinel").exists()


def test_states_and_items_on_anything_but_objects_are_refused(tmp_path: Path) -> None:
    for code in (b"\x80\x02ccollections\nOrderedDict\n}b.", b"\x80\x02](K\x00K\x01u."):
        refuse_bytes(tmp_path, archive(None, pickle=code), "sets the state of|sets items of")


@pytest.mark.parametrize(
    ("view", "match"),
    [
        (
            {"shape": (10**12,), "strides": (0,)},
            r"shape \[1000000000000\], strides \[0\], .*does not fit",
        ),
        ({"shape": (5,)}, r"does not fit into its storage of 4 elements"),
        ({"shape": (2,), "strides": (4,)}, "does not fit"),
        ({"offset": 1}, "does not fit"),
        ({"shape": (0,), "offset": 5}, "does not fit"),
        ({"shape": (2, 2), "strides": (1 << 39, 1)}, "does not fit"),
        ({"offset": -1}, "no proper offset, shape and strides"),
        ({"shape": (-4,)}, "no proper offset, shape and strides"),
        ({"strides": (-1,)}, "no proper offset, shape and strides"),
        ({"strides": (1, 1)}, "no proper offset, shape and strides"),
        ({"shape": [4]}, "no proper offset, shape and strides"),
        ({"shape": (True,)}, "no proper offset, shape and strides"),
        ({"shape": (1 << 50,)}, "no proper offset, shape and strides"),
        ({"shape": (1,) * 9, "strides": (1,) * 9}, "no proper offset, shape and strides"),
    ],
)
def test_views_beyond_their_storage_are_refused(view: dict, match: str, tmp_path: Path) -> None:
    refuse_all(tmp_path, match, root=tensor(storage(), **view))
    view = {"shape": (4,), **view}
    refuse_bytes(tmp_path, embedded(stream(storage()), **view), match)


def test_a_tensor_without_arguments_is_refused(tmp_path: Path) -> None:
    refuse_all(
        tmp_path, "no proper offset", root=call("torch._utils._rebuild_tensor_v2", storage())
    )


@pytest.mark.parametrize(
    "store",
    [
        storage(-4),
        storage(4.0),
        storage(key=0),
        storage(kind="FloatStorage"),
        storage(4, "0", FLOAT, ("1", 0, 4)),
        PersistentId(("storage", FLOAT)),
        PersistentId("storage"),
        PersistentId(("module", FLOAT, "0", "cpu", 4)),
    ],
)
def test_storages_declared_otherwise_are_refused(store: PersistentId, tmp_path: Path) -> None:
    refuse_all(tmp_path, "a tensor's storage is not declared as torch does", root=store)
    refuse_bytes(
        tmp_path, embedded(stream(store)), "a tensor's storage is not declared as torch does"
    )


def test_tensors_without_a_storage_are_refused(tmp_path: Path) -> None:
    refuse_all(tmp_path, "not declared as torch does", root=[storage(), tensor(None)])
    no_bytes = call(
        "torch._utils._rebuild_tensor_v2", call("torch.storage._load_from_bytes", 3), 0, (4,), (1,)
    )
    root = root_of("ada_tiny.pkl")
    as_dict(ada_state(root, "mapping", "fc0")["_parameters"])["bias"] = no_bytes
    refuse_bytes(tmp_path, write_pickle(root), r"the storage of mapping\.fc0\.bias holds no bytes")


def test_storages_of_another_size_than_declared_are_refused(tmp_path: Path) -> None:
    for numel in (3, 5, 1 << 40):
        match = r"a storage declares \d+ (bytes, the file has 16|elements of 4 bytes)"
        refuse_all(tmp_path, match, root=storage(numel))
        refuse_bytes(tmp_path, embedded(stream(storage(numel))), match)
    for raw in (b"", struct.pack("<q", -4) + bytes(16), struct.pack("<q", 4) + bytes(15)):
        refuse_bytes(tmp_path, stream(storage(), raw=raw), "a storage declares 4 elements")
    refuse_bytes(
        tmp_path, archive(storage(key="7")), "a storage declares 16 bytes, the file has none"
    )
    refuse_all(
        tmp_path,
        "two tensors disagree about the size of their storage",
        root=[storage(4), storage(3)],
    )


def test_streams_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    for header in ((1, 1001, LITTLE), (MAGIC_NUMBER, 7, LITTLE)):
        refuse_bytes(
            tmp_path,
            embedded(stream(storage(), header=header)),
            "not the byte stream of torch.save",
        )
    refuse_bytes(
        tmp_path,
        stream(storage(), header=(MAGIC_NUMBER, 7, LITTLE)),
        "not the byte stream of torch.save",
    )
    big = {**LITTLE, "little_endian": False}
    for data in (stream(storage(), header=(MAGIC_NUMBER, 1001, big)),):
        refuse_bytes(tmp_path, data, "the tensors are big-endian; only little-endian")
        refuse_bytes(tmp_path, embedded(data), "the tensors are big-endian; only little-endian")
    for keys in ((), ("1",), ("0", "1"), 3, (0,)):
        refuse_bytes(
            tmp_path,
            stream(storage(), keys=keys),
            "the list of storages does not match the tensors",
        )
    refuse_bytes(tmp_path, stream(storage(), keys=("0", "0")), "a storage is listed twice")
    refuse_bytes(tmp_path, stream(storage()) + b"\0", "1 bytes follow the last storage")


def test_an_empty_storage_gives_an_empty_tensor_and_no_crash(tmp_path: Path) -> None:
    data = stream(storage(0), raw=struct.pack("<q", 0))
    refuse_bytes(
        tmp_path, embedded(data, shape=(0,)), r"mapping\.fc0\.bias: expected \[16\], found \[0\]"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(4, 4).to_sparse(),
        lambda: torch.quantize_per_tensor(torch.zeros(4), 1.0, 0, torch.quint8),
        lambda: torch.zeros(4, device="meta"),
        lambda: torch.zeros(4, dtype=torch.complex64),
        lambda: torch.nested.nested_tensor([torch.zeros(2)]),
        lambda: torch.nn.Linear(1, 1),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tensors_that_are_not_dense_and_modules_are_refused(
    make: Callable[[], object], tmp_path: Path
) -> None:
    path = saved(tmp_path / "saved", {"g_ema": make()})
    message = refuse_bytes(
        tmp_path, path.read_bytes(), "the pickle names torch.*it was not imported"
    )
    assert "weights_only" not in message


def test_compressed_archives_are_refused(tmp_path: Path) -> None:
    data = archive(
        storage(1 << 20), members={"data/0": bytes(4 << 20)}, compression=zipfile.ZIP_DEFLATED
    )
    assert len(data) < 10_000
    refuse_bytes(tmp_path, data, "member m/data.pkl is compressed, torch.save never does that")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_ambiguous_archives_are_refused(tmp_path: Path) -> None:
    good = archive(storage())
    buffer = io.BytesIO(good)
    with zipfile.ZipFile(buffer, "a") as file:
        file.writestr("m/data.pkl", b"other")
    refuse_bytes(tmp_path, buffer.getvalue(), "two members called m/data.pkl")
    refuse_bytes(
        tmp_path, archive(storage(), members={"DATA.PKL": b""}), "two members called m/DATA.PKL"
    )
    refuse_bytes(
        tmp_path, archive(storage(), members={"x/data.pkl": b""}), "not one written by torch.save"
    )
    for name in ("../evil", "a\\b", "\u00e9"):
        refuse_bytes(
            tmp_path, archive(storage(), members={name: b""}), "the archive has a member called"
        )
    refuse_bytes(
        tmp_path,
        archive(storage(), pickle=write_pickle(storage(), 2) + b"x"),
        "bytes follow the end of the",
    )
    refuse_bytes(
        tmp_path, archive(storage(), members={"byteorder": b"big"}), "the tensors are big-endian"
    )
    refuse_bytes(
        tmp_path,
        archive(storage(), members={f"x{k}": b"" for k in range(20_001)}),
        "has 20005 members",
    )


def test_other_zip_archives_are_named(tmp_path: Path) -> None:
    refuse_bytes(tmp_path, archive(None, members={"a.npy": b""}), r"a NumPy \.npz archive")
    refuse_bytes(
        tmp_path,
        archive(None, members={"constants.pkl": b""}),
        "a TorchScript archive, which contains code",
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ffhq.pkl", b"x" * 100)
    refuse_bytes(
        tmp_path,
        buffer.getvalue(),
        "a zip archive, but not one written by torch.save; .*unpack it first",
    )
    refuse_bytes(tmp_path, b"PK\x03\x04" + bytes(50), r"damaged or cut-off torch\.save archive")


def patched(data: bytes, position: int, new: bytes) -> bytes:
    return data[:position] + new + data[position + len(new) :]


def test_archives_whose_two_accounts_differ_are_refused(tmp_path: Path) -> None:
    """Where Python's zip library and torch's could read different things, neither is asked."""
    good = archive(storage())
    directory = good.index(b"PK\x01\x02")
    second = good.index(b"PK\x03\x04", 4)
    raw = good.index(bytes(16))
    # the local name
    refuse_bytes(tmp_path, patched(good, 30, b"M"), "two accounts of m/data.pkl|damaged")
    refuse_bytes(
        tmp_path, patched(good, second + 8, b"\x08"), "two accounts of m/byteorder|damaged"
    )  # the local method
    # encrypted, says the local header
    refuse_bytes(tmp_path, patched(good, 6, b"\x01"), "two accounts|damaged")
    refuse_bytes(
        tmp_path, patched(good, directory + 8, b"\x01"), "member called m/data.pkl|damaged"
    )
    refuse_bytes(tmp_path, patched(good, raw, b"\x01"), "checksum of m/data/0 differs")
    refuse_bytes(tmp_path, good + b"\0", "bytes follow the end of the archive|damaged")
    commented = patched(good, len(good) - 2, b"\x01\x00") + b"c"
    refuse_bytes(tmp_path, commented, "bytes follow the end of the archive")
    refuse_bytes(tmp_path, good + good, "two|room between|not where it says|damaged")
    gap = good[:directory] + bytes(100) + good[directory:]
    gap = patched(gap, len(gap) - 6, struct.pack("<I", directory + 100))
    refuse_bytes(tmp_path, gap, "not where it says")
    hole = bytes(40)
    refuse_bytes(
        tmp_path,
        b"PK\x03\x04" + hole + good,
        "overlap or leave room between them|not where it says",
    )


def test_the_64_bit_directory_must_be_consistent(tmp_path: Path) -> None:
    good = (FIXTURES / "rosinality_tiny.pt").read_bytes()
    assert good[-42:-38] == b"PK\x06\x07"
    start = len(good) - 42 - 56
    assert good[start : start + 4] == b"PK\x06\x06"
    refuse_bytes(
        tmp_path, patched(good, len(good) - 34, struct.pack("<Q", 0)), "inconsistent|damaged"
    )
    refuse_bytes(
        tmp_path,
        patched(good, start + 48, struct.pack("<Q", 0)),
        "not where it says|room between|damaged",
    )


def test_torch_files_cut_off_at_any_byte_are_refused(tmp_path: Path) -> None:
    for data in (stream({"g": tensor(storage())}), archive({"g": tensor(storage())})):
        for cut in range(1, len(data)):
            refuse_bytes(
                tmp_path,
                data[:cut],
                "damaged|cut off|no known model format|not the byte stream|follow",
            )


def test_what_torch_itself_refuses_is_reported_without_its_advice(tmp_path: Path) -> None:
    message = refuse_bytes(
        tmp_path,
        archive(call("torch._utils._rebuild_parameter", 1, 2, 3)),
        "torch cannot read this",
    )
    assert "weights_only" not in message
