"""Freed tensors are reused instead of mapped afresh; elsewhere than on glibc nothing happens."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from invert.hardware.allocator import keep_large_blocks

FAULTS_OF_TENSORS = """
import resource, sys
from invert.hardware.allocator import keep_large_blocks
if sys.argv[1] == "kept":
    assert keep_large_blocks() is True
    assert keep_large_blocks() is True
import torch
def faults(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        torch.full((2**24,), 1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(15)
print(faults(10))
"""


def page_faults(setting: str) -> int:
    """Of ten tensors of 64 MiB, one after the other, once the heap has settled; in a process of its
    own.
    """
    command = [sys.executable, "-c", FAULTS_OF_TENSORS, setting]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


LIBC, VERSION = platform.libc_ver()


@pytest.mark.skipif(
    LIBC != "glibc" or [int(v) for v in VERSION.split(".")] < [2, 35],
    reason="older ones limit the mmap threshold",
)
def test_further_tensors_need_no_new_pages() -> None:
    assert page_faults("kept") * 10 < page_faults("default")


def test_old_glibc_gets_the_largest_threshold_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {}

    class OldGlibc:
        def __init__(self, name: str | None) -> None:
            def mallopt(parameter: int, value: int) -> int:
                if parameter == -3 and value > 32 * 2**20:
                    return 0
                settings[parameter] = value
                return 1

            self.mallopt = mallopt

    monkeypatch.setattr(ctypes, "CDLL", OldGlibc)
    assert keep_large_blocks() is True
    assert settings == {-3: 32 * 2**20, -1: 2**31 - 1}


class LibraryWithoutMallopt:
    def __init__(self, name: str | None) -> None:
        pass


def no_library(name: str | None) -> None:
    raise TypeError("LoadLibrary() argument 1 must be str, not None")


@pytest.mark.parametrize("library", [LibraryWithoutMallopt, no_library])
def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch, library: object) -> None:
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert keep_large_blocks() is False
