"""Photographs in batches from file to files, on a second device whose memory runs out."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import small_checkpoint
from shell import QUICK, Shell, make_photo, one_line, pixels, refused
from simulated_device import DEVICE, simulated_device

from invert.checkpoints import write_checkpoint
from invert.networks.network import SynthesisNetwork
from invert.projection import step_inputs

ON_DEVICE = [*QUICK, "--space", "W+", "--network", "net.safetensors", "--device", "sim"]


@pytest.fixture(scope="module", autouse=True)
def device() -> Iterator[None]:
    with simulated_device():
        yield


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Five photographs, and a network."""
    write_checkpoint(tmp_path / "net.safetensors", small_checkpoint())
    sizes = [(80, 64), (64, 64), (64, 90), (100, 70), (70, 100)]
    return [make_photo(tmp_path / "photos" / f"{k}.png", size) for k, size in enumerate(sizes)]


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of points that the network renders at once."""
    return watch(monkeypatch, most=1000)


def watch(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Notes how many points are rendered at once, and has no memory for more than `most`."""
    real, counts = SynthesisNetwork.synthesize, list[int]()

    def synthesize(self: SynthesisNetwork, x: torch.Tensor, *others: Any) -> torch.Tensor:
        counts.append(len(x))
        if len(x) > most:
            raise torch.OutOfMemoryError("out of memory")
        return real(self, x, *others)

    monkeypatch.setattr(SynthesisNetwork, "synthesize", synthesize)
    return counts


def reports(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("?.json"))}


def test_a_batch_makes_the_files_that_each_photograph_makes_alone(
    run: Shell, photos: list[Path], tmp_path: Path, rendered: list[int]
) -> None:
    result = run("project", *photos, *ON_DEVICE, "--batch", "3")
    assert result.code == 0, result.err
    assert max(rendered) == 3
    assert [r["batch"] for r in reports(tmp_path).values()] == [3, 3, 3, 2, 2]
    assert run("project", *photos, *ON_DEVICE, "--batch", "1", "--out", "alone").code == 0
    for photo in photos:
        difference = pixels(photo.name) - pixels(Path("alone") / photo.name)
        assert abs(difference).max() <= 1


@pytest.mark.parametrize("most", [1, 2])
def test_a_batch_is_halved_where_memory_runs_out(
    most: int,
    run: Shell,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered = watch(monkeypatch, most)
    result = run("project", *photos, *ON_DEVICE, "--batch", "4")
    assert result.code == 0, result.err
    assert "out of memory with 4 photographs at once; now 2" in result.err
    assert ("at once; now 1" in result.err) == (most == 1)
    assert [r["batch"] for r in reports(tmp_path).values()] == [most] * 4 + [1]
    assert max(rendered) == 4


def test_a_photograph_that_fits_nowhere_is_an_error_of_its_own(
    run: Shell, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(monkeypatch, most=0)
    result = run("project", *photos[:2], *ON_DEVICE, "--batch", "2")
    assert result.code == 6
    assert result.err.count("out of memory; use a smaller image") == 2


def test_what_cannot_be_read_does_not_stop_its_batch(
    run: Shell, photos: list[Path], tmp_path: Path, rendered: list[int]
) -> None:
    (tmp_path / "bad.png").write_text("<html>")
    sources = [photos[0], tmp_path / "bad.png", *photos[1:3]]
    result = run("project", *sources, *ON_DEVICE, "--batch", "3")
    assert result.code == 6
    assert "HTML" in one_line(result)
    assert max(rendered) == 3
    assert list(reports(tmp_path)) == ["0", "1", "2"]


def test_photographs_of_several_sizes_make_several_batches(
    run: Shell, photos: list[Path], tmp_path: Path
) -> None:
    arguments = [*ON_DEVICE, "--space", "FNW9", "--keep-size", "--init", "mean"]
    assert run("project", *photos[:3], photos[1], *arguments, "--batch", "4").code == 0
    found = {name: report["batch"] for name, report in reports(tmp_path).items()}
    assert found == {"0": 1, "1": 2, "2": 1}


def test_an_interrupt_writes_what_the_batch_has_and_ends(
    run: Shell, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = step_inputs.warmup_cooldown, list[int]()

    def schedule(*arguments: Any) -> float:
        calls.append(1)
        if len(calls) == 15:  # in the second block of steps
            os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(step_inputs, "warmup_cooldown", schedule)
    result = run("project", *photos, *ON_DEVICE, "--batch", "3", "--steps", "100000")
    assert result.code == 130
    assert {n: r["stop_reason"] for n, r in reports(tmp_path).items()} == dict.fromkeys(
        "012", "interrupted"
    )


def test_auto_fits_the_batch_to_free_memory(
    run: Shell, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = watch(monkeypatch, most=1000)
    memory = {
        "mem_get_info": lambda device: (6500, 9999),
        "memory_reserved": lambda device: 900,
        "memory_allocated": lambda device: 400,
        "max_memory_allocated": lambda device: 400 + 1000,  # of one photograph
        "reset_peak_memory_stats": lambda device: None,
    }
    for name, function in memory.items():
        monkeypatch.setattr(DEVICE, name, function, raising=False)
    assert run("project", *photos, *ON_DEVICE).code == 0
    assert max(rendered) == 2  # 40 % of 7000 bytes, since steps are recorded
    assert [r["batch"] for r in reports(tmp_path).values()] == [2, 2, 2, 2, 1]


def test_auto_is_one_by_one_where_memory_is_not_known(
    run: Shell, photos: list[Path], rendered: list[int]
) -> None:
    assert run("project", *photos[:2], *ON_DEVICE).code == 0
    assert max(rendered) == 1


@pytest.mark.parametrize("batch", ["0", "65", "many", "-1", "1.5"])
def test_a_batch_that_is_no_number_is_refused(batch: str, run: Shell, photos: list[Path]) -> None:
    refused(run("project", photos[0], *ON_DEVICE, "--batch", batch), 2, "--batch is auto or an")
