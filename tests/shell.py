"""The `invert` command in process: what it prints, and how it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import cli

QUICK = ["--perceptual", "none", "--steps", "4", "--init-steps", "2"]  # of `project`


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    """Runs `invert` in this process, in a folder of its own."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.folder, self.monkeypatch, self.capfd = folder, monkeypatch, capfd
        monkeypatch.chdir(folder)

    def __call__(self, *arguments: str | Path) -> Result:
        self.monkeypatch.setattr(sys, "argv", ["invert", *map(str, arguments)])
        self.capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = self.capfd.readouterr()
        return Result(int(stop.value.code or 0), out, err)


def succeeded(result: Result) -> str:
    """What it printed on stdout."""
    assert result.code == 0, result.err
    return result.out


def refused(result: Result, code: int, reason: str) -> None:
    """It ended with this code and one line that holds the reason, and printed no result."""
    assert result.code == code, result.err
    assert reason in one_line(result)
    assert result.out == ""


def one_line(result: Result) -> str:
    lines = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.err
    assert "Traceback" not in result.err
    return lines[0]


def make_photo(path: Path, size: tuple[int, int] = (80, 64)) -> Path:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.RandomState(0).randint(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@contextmanager
def nobody() -> Iterator[None]:
    """An ordinary user, if this is root, who may read and write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def pixels(path: str | Path) -> np.ndarray:
    """[H, W, 3] as integers that can be subtracted."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)
