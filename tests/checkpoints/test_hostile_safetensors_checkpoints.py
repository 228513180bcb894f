"""Damaged, hostile and foreign safetensors files are refused with the reason."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_files import DEFAULT_CONFIG, read_bytes, refuse_bytes
from pickle_writer import FIXTURES

from invert.checkpoints import Checkpoint, read_checkpoint, write_checkpoint


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("ours") / "m"
    checkpoint = Checkpoint(
        "mobile-stylegan", "invert", DEFAULT_CONFIG, {"a": torch.ones(4), "b": torch.zeros(2)}, {}
    )
    write_checkpoint(path, checkpoint)
    return path.read_bytes()


def with_header(data: bytes, change: Callable[[dict], object] | bytes) -> bytes:
    """The file with its header changed, or replaced by bytes."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    if callable(change):
        change(header)
        text = json.dumps(header).encode()
    else:
        text = change
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def metadata(**values: object) -> Callable[[dict], object]:
    content = {
        "architecture": "mobile-stylegan",
        "config": {},
        "details": {},
        "version": 1,
        **values,
    }
    return lambda header: header["__metadata__"].update(invert=json.dumps(content))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda h: h["b"].update(data_offsets=[8, 16]), "damaged safetensors file"),  # overlap
        (lambda h: h["b"].update(data_offsets=[17, 25]), "damaged safetensors file"),  # hole
        (lambda h: h["b"].update(data_offsets=[16, 1 << 60]), "damaged safetensors file"),
        (lambda h: h["b"].update(shape=[3]), "damaged safetensors file"),
        (lambda h: h["b"].update(shape=[1 << 62, 8]), "damaged safetensors file"),
        (lambda h: h["b"].update(dtype="F99"), "damaged safetensors file"),
        (lambda h: h["b"].update(dtype="I32"), "expected float weights, b is int32"),
        (lambda h: h.pop("b"), "damaged safetensors file"),
        (lambda h: h.update(c=7), "damaged safetensors file"),
        (lambda h: h["__metadata__"].update(other=5), "damaged safetensors file"),
        (lambda h: h.pop("__metadata__"), "a safetensors file that invert did not write"),
        (lambda h: h.update(__metadata__=[1]), "a safetensors file that invert did not write"),
        (
            lambda h: h["__metadata__"].update(invert="[]"),
            "a safetensors file that invert did not write",
        ),
        (lambda h: h["__metadata__"].update(invert="{"), "its header is not JSON"),
        (lambda h: h["__metadata__"].update(invert='{"a":1,"a":2}'), "a key stands twice"),
        (
            lambda h: h.update({f"x{k}": {} for k in range(10_001)}),
            r"the file lists \d+ tensors, the limit is 10000",
        ),
        (metadata(version=2), "checkpoint format 2, expected 1; update invert"),
        (metadata(architecture=None), "architecture, config or details are missing"),
        (metadata(config=[]), "architecture, config or details are missing"),
        (metadata(architecture="stylegan9"), "supported architectures: .*this is 'stylegan9'"),
        (metadata(architecture="stylegan2"), "not a StyleGAN2 generator: unexpected a, b"),
        (b'{"a": ' * 100_000, "its header is not JSON"),
        (b'{"\xff": 1}', "its header is not JSON"),
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b'{"a": ' + b"1" * 5_000 + b"}", "not JSON|did not write"),
        (b'{"' + b" " * (4 << 20) + b'": 1}', r"a header of \d+ bytes"),
    ],
)
def test_damaged_safetensors_files_are_refused(
    change: object, match: str, ours: bytes, tmp_path: Path
) -> None:
    refuse_bytes(tmp_path, with_header(ours, change), match)


def test_cut_off_or_extended_safetensors_files_are_refused(ours: bytes, tmp_path: Path) -> None:
    for cut in range(9, len(ours)):
        refuse_bytes(tmp_path, ours[:cut], "damaged safetensors file")
    refuse_bytes(tmp_path, ours + b"\0", "damaged safetensors file")
    refuse_bytes(
        tmp_path, struct.pack("<Q", 1 << 62) + ours[8:], "a header of 4611686018427387904 bytes"
    )


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"x": 1}, "config should be conv_clamp, mapping_lr_multiplier, resample_filter; got .*x"),
        ({"conv_clamp": "256"}, "conv_clamp should be a positive number or null, this is '256'"),
        ({"conv_clamp": 10**400}, "conv_clamp should be a positive number or null"),
        ({"conv_clamp": -1}, "conv_clamp should be a positive number or null, this is -1"),
        (
            {"mapping_lr_multiplier": None},
            "mapping_lr_multiplier should be a positive number, this is None",
        ),
        (
            {"mapping_lr_multiplier": True},
            "mapping_lr_multiplier should be a positive number, this is True",
        ),
        ({"resample_filter": 3}, "resample_filter should be 2 to 64 taps with a sum, this is 3"),
        ({"resample_filter": [1, -1]}, "resample_filter should be 2 to 64 taps"),
        ({"resample_filter": [1] * 65}, "resample_filter should be 2 to 64 taps"),
        ({"resample_filter": [1, "x"]}, "resample_filter should be 2 to 64 taps"),
    ],
)
def test_configs_that_no_network_has_are_refused(config: dict, match: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "m", read_checkpoint(FIXTURES / "tf_tiny.pkl"))
    data = (tmp_path / "m").read_bytes()
    assert read_bytes(
        tmp_path, with_header(data, metadata(architecture="stylegan2", config=DEFAULT_CONFIG))
    )
    changed = metadata(architecture="stylegan2", config={**DEFAULT_CONFIG, **config})
    refuse_bytes(tmp_path, with_header(data, changed), match)
