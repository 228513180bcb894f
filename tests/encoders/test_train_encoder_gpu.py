"""tools/train_encoder_gpu.sh: what it says where something is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from invert.encoders.settings import EncoderSettings

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "train_encoder_gpu.sh"
posix = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")


def error_of(*arguments: str | Path) -> str:
    result = subprocess.run(["sh", SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    return line


@posix
def test_missing_weights_are_one_line(tmp_path: Path) -> None:
    line = error_of("1", tmp_path / "out", tmp_path)
    assert line.startswith(f"error: {tmp_path} has no ffhq-mobile; make it with")
    assert not (tmp_path / "out").exists()


@posix
def test_missing_arguments_are_one_line() -> None:
    assert "expected: train_encoder_gpu.sh MINUTES OUT CARRIED" in error_of("1", "out")
    assert "expected: train_encoder_gpu.sh pack CARRIED" in error_of("pack")


def test_all_weights_that_the_training_needs_are_carried() -> None:
    text = SCRIPT.read_text()
    [carried] = re.findall(r'^weights="(.*)"$', text, re.MULTILINE)
    [backbone] = re.findall(r"--backbone (\S+)", text)
    distances = EncoderSettings().perceptual
    assert {"ffhq-mobile", backbone, "st-lpips-vgg", *distances} <= set(carried.split())
    assert f"invert download {carried}" in " ".join(text.replace("#", "").split())
