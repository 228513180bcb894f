"""`invert canvas` end to end: positions in pixels, refused where they are no whole cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import small_generator
from PIL import Image
from shell import Shell, pixels, refused, succeeded

from edits.canvas import Placement, place
from invert.latents.latent import Latent

# FNW5 of a 64 px generator: 16×16 cells of 4 px; R_i has half as many, so that positions are
# multiples of 8 px


@pytest.fixture
def latents(run: Shell, network: Path) -> list[str]:
    assert run("generate", "--network", network, "--seeds", "0-1", "--space", "FNW5").code == 0
    return ["seed0000.pt", "seed0001.pt"]


def features(path: str) -> torch.Tensor:
    found = Latent.load(path).features
    assert found is not None
    return found


def test_latents_stand_side_by_side_by_default(
    run: Shell, network: Path, latents: list[str]
) -> None:
    out = succeeded(run("canvas", *latents, "--feather", "0", "--network", network))
    assert out.split() == ["seed0000.canvas.png", "seed0000.canvas.pt"]
    assert Image.open("seed0000.canvas.png").size == (128, 64)
    both = torch.cat([features(path) for path in latents], dim=3)
    assert torch.equal(features("seed0000.canvas.pt"), both)


def test_pixels_become_the_cells_of_the_library(
    run: Shell, network: Path, latents: list[str]
) -> None:
    succeeded(
        run(
            "canvas", *latents, "--at", "8,0", "--at", "-16,24", "--crop", "whole", "--crop",
            "16,32,24,32",
            "--size", "96,72", "--feather", "6", "-o", "x.pt", "--network", network,
        )
    )  # fmt: skip
    a, b = (Latent.load(path) for path in latents)
    placements = [Placement(a, (2, 0)), Placement(b, (-4, 6), (4, 8, 6, 8))]
    expected = place(small_generator(), (24, 18), placements, feather=6)
    found = Latent.load("x.pt")
    assert all(torch.equal(s, t) for s, t in zip(found.tensors(), expected.tensors(), strict=True))
    assert Image.open("x.png").size == (96, 72)


def test_the_canvas_ends_where_the_last_latent_ends(
    run: Shell, network: Path, latents: list[str]
) -> None:
    succeeded(
        run("canvas", *latents, "--at", "0,0", "--at", "24,16", "-o", "x.png", "--network", network)
    )
    assert Image.open("x.png").size == (88, 80)


def test_one_latent_is_cut_and_shifted(run: Shell, network: Path, latents: list[str]) -> None:
    succeeded(
        run("canvas", latents[0], "--crop", "16,8,32,40", "-o", "cut.png", "--network", network)
    )
    assert Image.open("cut.png").size == (32, 40)
    assert torch.equal(features("cut.pt"), features(latents[0])[:, :, 2:12, 4:12])
    succeeded(
        run(
            "canvas",
            latents[0],
            "--at",
            "8,0",
            "--size",
            "64,64",
            "-o",
            "shifted.png",
            "--network",
            network,
        )
    )
    assert Image.open("shifted.png").size == (64, 64)
    assert torch.equal(features("shifted.pt")[..., 2:], features(latents[0])[..., :-2])
    succeeded(run("canvas", latents[0], "-o", "same.png", "--network", network))
    # the rounding of style maps
    assert np.abs(pixels("same.png") - pixels("seed0000.png")).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--at", "0,0", "--at", "60,0"],
         "--at 60,0: expected whole pairs of feature cells of these latents, "
                                          "multiples of 8 px; try 64,0"),
        (["--crop", "whole", "--crop", "0,0,12,16"], "--crop 0,0,12,16: expected whole"),
        (["--size", "100,64"], "--size 100,64: expected whole"),
        (["--at", "0,0"], "one --at per latent, 2 of them, or none; got 1"),
        (["--crop", "whole"], "one --crop per latent, 2 of them, or none; got 1"),
        (["--at", "0,0", "--at", "x,0"], "expected --at x,y in whole numbers, got 'x,0'"),
        (["--crop", "whole", "--crop", "0,0,8"],
         "expected --crop x,y,width,height in whole numbers"),
        (["--size", "64"], "expected --size width,height"),
        (["--at", "0,0", "--at", "800,0", "--size", "64,64"],
         "outside the canvas of 16×16 cells; a cell is 4 px"),
        (["--crop", "whole", "--crop", "0,0,72,8"],
         "is not inside the 16×16 cells of the latent; a cell is 4 px"),
        (["--feather", "-1"], "--feather"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_size_of_a_cell(
    arguments: list[str], reason: str, run: Shell, network: Path, latents: list[str]
) -> None:
    refused(run("canvas", *latents, *arguments, "--network", network), 2, reason)


def test_latents_without_features_and_missing_files_are_refused(run: Shell, network: Path) -> None:
    assert run("generate", "--network", network, "--space", "W+").code == 0
    refused(
        run("canvas", "seed0000.pt", "--network", network),
        2,
        "W+ has no features to place; `invert convert",
    )
    refused(run("canvas", "none.pt"), 4, "none.pt")
