"""`invert edit`, `mix`, `equalize` and `stats` end to end on a 64 px generator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import small_generator
from PIL import Image
from shell import QUICK, Shell, refused

from directions.direction import Direction
from directions.direction_files import save_direction
from invert.latents.latent import Latent


@pytest.fixture
def direction(tmp_path: Path) -> Path:
    path = tmp_path / "tilt.safetensors"
    vector = torch.randn(32, generator=torch.Generator().manual_seed(3))
    save_direction(
        Direction("tilt", vector / vector.norm(), sigma=1.0, meaning="more of something"), path
    )
    return path


def test_edit_moves_the_newest_projection_and_the_way_back_returns(
    run: Shell, network: Path, photo: Path, direction: Path
) -> None:
    assert run("project", photo, "--network", network, *QUICK).code == 0
    result = run("edit", "--direction", direction, "--strength", "2", "--network", network)
    assert result.code == 0, result.err
    assert "using face.pt" in result.err
    assert result.out.split() == ["face.tilt+2.png", "face.tilt+2.pt"]
    back = run(
        "edit",
        "face.tilt+2.pt",
        "--direction",
        direction,
        "--strength",
        "-2",
        "-o",
        "back.pt",
        "--network",
        network,
    )
    assert back.code == 0, back.err
    generator = small_generator()
    images = [generator.render(Latent.load(p)) for p in ("face.pt", "face.tilt+2.pt", "back.pt")]
    assert (images[0] - images[1]).abs().mean() > 0.01
    assert (images[0] - images[2]).abs().max() < 1e-4


def test_edit_says_what_carries_it_into_the_features(
    run: Shell, network: Path, photo: Path, direction: Path
) -> None:
    assert run("project", photo, "--network", network, *QUICK).code == 0
    edit = ("edit", "face.pt", "--direction", direction, "--network", network)
    assert "tilt: features edited by residual" in run(*edit, "-o", "a.pt").err
    assert "features edited by" not in run(*edit, "--features", "keep", "-o", "b.pt").err
    assert Latent.load("a.pt").companion.origin is not None
    assert Latent.load("b.pt").companion.origin is None
    assert Path("a.png").read_bytes() != Path("b.png").read_bytes()
    refused(
        run(*edit, "--features", "model"),
        2,
        "no attribute model of 'tilt' for F_5 of small is here; train one",
    )
    refused(
        run(*edit, "--features", "telepathy"),
        2,
        "unknown feature edit 'telepathy'; known: auto, residual, difference, model",
    )


def test_a_mixture_gets_a_companion_when_it_is_edited(
    run: Shell, network: Path, direction: Path
) -> None:
    assert run("generate", "--network", network, "--seeds", "0-1", "--space", "FNW5").code == 0
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    Image.fromarray(mask).save("mask.png")
    mixed = run(
        "mix",
        "seed0000.pt",
        "seed0001.pt",
        "--mask",
        "mask.png",
        "-o",
        "both.pt",
        "--network",
        network,
    )
    assert mixed.code == 0, mixed.err
    edit = ("edit", "both.pt", "--direction", direction, "--network", network)
    result = run(*edit, "-o", "x.pt")
    assert result.code == 0, result.err
    assert "both.pt: made without a companion; looking for one" in result.err
    assert "tilt: features edited by residual" in result.err
    assert Latent.load("x.pt").companion is not None
    assert "looking for one" not in run(*edit, "--features", "keep", "-o", "y.pt").err


def test_a_trained_attribute_model_carries_edits_on_a_canvas(
    run: Shell, network: Path, direction: Path
) -> None:
    assert run("generate", "--network", network, "--seeds", "0-1", "--space", "FNW5").code == 0
    assert (
        run("canvas", "seed0000.pt", "seed0001.pt", "-o", "wide.pt", "--network", network).code == 0
    )
    edit = (
        "edit",
        "wide.pt",
        "--direction",
        direction,
        "--strength",
        "2",
        "-o",
        "x.pt",
        "--network",
        network,
    )
    assert "tilt: features edited by residual, 2 faces found" in run(*edit).err
    refused(run(*edit, "--features", "model"), 2, "no attribute model")
    train = (
        "train",
        "attribute",
        "--direction",
        direction,
        "--samples",
        "32",
        "--steps",
        "2",
        "--network",
        network,
    )
    assert run(*train, "-o", "tilt-model.safetensors").code == 0
    result = run(*edit, "--features", "tilt-model.safetensors")
    assert result.code == 0, result.err
    before, after = (np.asarray(Image.open(p)).astype(int) for p in ("wide.png", "x.png"))
    change = abs(before - after).mean(axis=(0, 2))
    assert change[:32].mean() > 1
    assert change[-32:].mean() > 1


def test_a_masked_edit_stays_inside(
    run: Shell, network: Path, photo: Path, direction: Path
) -> None:
    assert run("project", photo, "--network", network, "--space", "NW+", *QUICK).code == 0
    Image.fromarray(np.repeat(np.repeat(np.array([[255, 0]], np.uint8), 64, 0), 32, 1)).save(
        "left.png"
    )
    result = run(
        "edit", "face.pt", "--direction", direction, "--styles", "fine", "--mask", "left.png", "-o",
        "m.png",
        "--network", network,
    )  # fmt: skip
    assert result.code == 0, result.err
    a, b = (np.asarray(Image.open(p)).astype(int) for p in ("face.png", "m.png"))
    assert abs(a - b)[:, :16].mean() > 1
    assert abs(a - b)[:, 60:].mean() < 0.5


def test_a_strip_shows_the_strengths_side_by_side(
    run: Shell, network: Path, photo: Path, direction: Path
) -> None:
    assert run("project", photo, "--network", network, *QUICK).code == 0
    assert (
        run("edit", "--direction", direction, "--strip", "-2:2:3", "--network", network).code == 0
    )
    with Image.open("face.tilt.strip.png") as strip:
        assert strip.size == (192, 64)
        middle = strip.crop((64, 0, 128, 64)).tobytes()
    assert middle == Image.open("face.png").tobytes()


def test_mix_takes_each_side_from_its_latent(run: Shell, network: Path) -> None:
    assert run("generate", "--network", network, "--seeds", "0-1", "--space", "FNW5").code == 0
    for name, level in (("none.png", 0), ("all.png", 255)):
        Image.new("L", (64, 64), level).save(name)
    for name, source in (("none.png", "seed0000.png"), ("all.png", "seed0001.png")):
        result = run(
            "mix", "seed0000.pt", "seed0001.pt", "--mask", name, "-o", "x.png", "--network", network
        )
        assert result.code == 0, result.err
        assert Path("x.png").read_bytes() == Path(source).read_bytes()
    Image.fromarray(np.repeat(np.repeat(np.array([[255, 0]], np.uint8), 64, 0), 32, 1)).save(
        "left.png"
    )
    assert (
        run("mix", "seed0000.pt", "seed0001.pt", "--mask", "left.png", "--network", network).code
        == 0
    )
    assert Path("seed0000+seed0001.pt").exists()


def test_equalize_and_stats_tell_the_same_story(run: Shell, network: Path, photo: Path) -> None:
    assert run("project", photo, "--network", network, *QUICK).code == 0
    assert run("equalize", "--amount", "1", "-o", "e.pt", "--network", network).code == 0
    before, after = (
        json.loads(run("stats", p, "--json", "--network", network).out)["wasserstein"]
        for p in ("face.pt", "e.pt")
    )
    assert Path("e.stats.png").exists()
    assert after["styles"] < 0.05 * before["styles"]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["edit", "--direction", "smlie"], 2, "did you mean smile"),
        (
            ["edit", "--direction", "smile", "--strength", "1", "--strength", "2"],
            2,
            "one --strength per --direction",
        ),
        (["edit", "--direction", "smile", "--strip", "1:2"], 2, "first:last:count"),
        (
            ["edit", "--direction", "smile", "--direction", "age", "--strip", "0:1:2"],
            2,
            "--strip takes one direction",
        ),
        (
            ["edit", "--direction", "smile", "--strip", "0:1:2", "--strength", "1"],
            2,
            "--strip has strengths of its own",
        ),
        (["edit", "--direction", "smile"], 4, "no projection here"),
        (["mix", "a.pt", "b.pt", "--mask", "m.png"], 4, "a.pt"),
        (["mix", "a.pt", "b.pt", "--mask", "m.png", "--shift", "x"], 2, "--shift dx,dy"),
        (["equalize", "--amount", "0.5"], 4, "no projection here"),
        (["stats", "none.pt"], 4, "none.pt"),
    ],
)
def test_errors_are_one_line_with_their_code(
    arguments: list[str], code: int, reason: str, run: Shell
) -> None:
    refused(run(*arguments), code, reason)


def test_results_go_where_both_files_can_be_written(
    run: Shell, network: Path, direction: Path
) -> None:
    assert run("generate", "--network", network).code == 0
    result = run(
        "edit", "seed0000.pt", "--direction", direction, "-o", "x.jpg", "--network", network
    )
    refused(result, 2, "ends in .png, .pt or .safetensors")
