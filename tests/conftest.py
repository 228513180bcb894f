"""Fixtures of the tests that run commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import small_checkpoint
from shell import Shell, make_photo
from simulated_device import register

from invert.checkpoints import write_checkpoint

register()  # autograd asks for devices once, at the first backward pass of the process


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capfd)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A seeded 64 px StyleGAN2."""
    path = tmp_path / "small.safetensors"
    write_checkpoint(path, small_checkpoint())
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return make_photo(tmp_path / "photos" / "face.png")
