"""load_tensors: torch.save files of plain data, whoever wrote them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from checkpoint_files import saved
from pickle_writer import (
    FIXTURES,
)

from invert.checkpoints.safe_torch import load_tensors
from invert.errors import ModelFileError


@pytest.mark.parametrize("legacy", [False, True])
def test_load_tensors_returns_plain_data_and_tensors(legacy: bool, tmp_path: Path) -> None:
    base = torch.arange(12.0)
    content = {
        "tensors": {
            "a": base.view(3, 4),
            "b": base[2:5],
            "half": torch.ones(2, 2).half(),
            "flag": torch.tensor(True),
        },
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "strided": torch.arange(6.0).view(2, 3).T,
        "empty": torch.zeros(0, 3),
        "values": [1, 2.5, "text", None, True, (1, 2), {3}, b"bytes", torch.Size([2])],
    }
    found = load_tensors(saved(tmp_path / "m", content, legacy=legacy))
    assert isinstance(found, dict)
    for name, tensor in content["tensors"].items():
        assert torch.equal(found["tensors"][name], tensor)
    for name in ("parameter", "strided", "empty"):
        assert torch.equal(found[name], content[name])
    assert found["values"] == content["values"]


def test_load_tensors_admits_only_the_classes_it_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path / "m", {"args": argparse.Namespace(size=32)})
    with pytest.raises(ModelFileError, match=r"m: the pickle names argparse.Namespace"):
        load_tensors(path)
    found = load_tensors(path, allow=(argparse.Namespace,))
    assert found == {"args": argparse.Namespace(size=32)}


def test_load_tensors_refuses_files_that_torch_save_did_not_write(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"a torch.save file was expected, this is a bare pickle"
    ):
        load_tensors(FIXTURES / "ada_tiny.pkl")
    with pytest.raises(ModelFileError, match="no such file; check the path"):
        load_tensors(tmp_path / "missing")


def test_load_tensors_refuses_torch_with_known_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "m", {"a": 1})
    monkeypatch.setattr(torch, "__version__", "2.9.1")
    with pytest.raises(
        ModelFileError, match=r"torch 2\.9\.1 has known holes .*CVE-2025-32434.*install torch 2\.10"
    ):
        load_tensors(path)
    monkeypatch.setattr(torch, "__version__", "2.10.0+cpu")
    assert load_tensors(path) == {"a": 1}
