"""How many processes the tests take, and the fixtures of those that run commands."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from networks import small_checkpoint
from shell import Shell, make_photo
from simulated_device import register

from invert.checkpoints import write_checkpoint
from invert.interrupts import SIGNALS

register()  # autograd asks for devices once, at the first backward pass of the process

MAX_WORKERS = 4  # each holds torch and a generator or two, 1 to 2 GB


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process per core for a folder of tests; none for single files, which would wait for their
    start.
    """
    folder = any(Path(argument).is_dir() for argument in config.args)
    return min(os.cpu_count() or 1, MAX_WORKERS) if folder else 0


def pytest_configure() -> None:
    """One thread, here and in the commands that tests start: networks as small as these are slower
    with more.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def signals_are_heard() -> Iterator[None]:
    """Signals do what they do in a terminal; nohup ignores SIGHUP, and a script SIGINT in jobs that
    it leaves in the background.
    """
    usual = {signal.SIGINT: signal.default_int_handler}
    ignored = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, usual.get(number, signal.SIG_DFL))
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Shell:
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
