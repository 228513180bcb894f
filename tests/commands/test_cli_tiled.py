"""`invert render --tiled`: the same picture in tiles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shell import Shell, pixels, refused, succeeded


@pytest.fixture
def wide(run: Shell, network: Path) -> str:
    """A latent of 128 × 64 px."""
    succeeded(run("generate", "--network", network, "--seeds", "0-1", "--space", "FNW5"))
    succeeded(run("canvas", "seed0000.pt", "seed0001.pt", "-o", "wide.pt", "--network", network))
    return "wide.pt"


def test_a_tiled_picture_is_the_whole_one(run: Shell, network: Path, wide: str) -> None:
    out = succeeded(run("render", wide, "--tiled", "-o", "tiled.png", "--network", network))
    assert out.split() == ["tiled.png"]
    difference = np.abs(pixels("tiled.png").astype(int) - pixels("wide.png").astype(int))
    assert difference.max() <= 1  # values that differ by 1e-6 may round apart
    assert difference.mean() < 1e-3
    with Image.open("tiled.png") as tiled, Image.open("wide.png") as whole:
        assert json.loads(tiled.info["invert"]) == json.loads(whole.info["invert"])


def test_every_latent_of_a_file_is_written(run: Shell, network: Path) -> None:
    succeeded(run("generate", "--network", network, "--seeds", "0-1", "--space", "FNW5"))
    from invert.latents.latent import Latent

    Latent.cat([Latent.load(f"seed000{k}.pt") for k in (0, 1)]).save("two.pt")
    out = succeeded(run("render", "two.pt", "--tiled", "--network", network))
    assert out.split() == ["two.render.0.png", "two.render.1.png"]
    assert np.abs(pixels("two.render.1.png") - pixels("seed0001.png").astype(int)).max() <= 1


def test_a_photograph_is_not_pasted_into_in_tiles(run: Shell, network: Path, wide: str) -> None:
    result = run("render", wide, "--tiled", "--into", "wide.png", "--network", network)
    refused(result, 2, "leave out --tiled")
