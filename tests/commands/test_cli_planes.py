"""`invert generate --size` and `--pan`: parts of the plane of a seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from networks import small_map_checkpoint
from PIL import Image
from shell import Shell, pixels, refused, succeeded

from invert.checkpoints import write_checkpoint

EARTH = ("--network", "earth.safetensors")
EDGE = 24  # pixels that depend on the edge of a rendering of the whole


@pytest.fixture(autouse=True)
def earth(run: Shell) -> None:
    write_checkpoint("earth.safetensors", small_map_checkpoint(resolution=32))


def near(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal but for values of 1e-6 that round apart."""
    return bool(np.abs(a - b).max() <= 1 and np.abs(a - b).mean() < 1e-2)


def test_a_larger_picture_contains_the_smaller_one(run: Shell) -> None:
    out = succeeded(run("generate", *EARTH, "--seeds", "3", "--size", "50x30"))
    assert out.split() == ["seed0003.50x30.png"]
    assert not Path("seed0003.pt").exists()
    succeeded(run("generate", *EARTH, "--seeds", "3", "--size", "600x64"))
    small, large = pixels("seed0003.50x30.png"), pixels("seed0003.600x64.png")
    assert (small.shape, large.shape) == ((30, 50, 3), (64, 600, 3))
    assert near(small, large[:30, :50])


def test_the_middle_of_a_sample_is_that_of_its_plane(run: Shell) -> None:
    from invert.loading import load_generator

    generator = load_generator("earth.safetensors")
    generator.sample(5, psi=0.7, space="FNW3", features=(24, 24)).save("a.pt")
    succeeded(run("render", "a.pt", "-o", "a.png"))
    succeeded(run("generate", *EARTH, "--seeds", "5", "--size", "96"))
    whole, plane = pixels("a.png"), pixels("seed0005.96x96.png")
    inside = slice(EDGE, -EDGE)
    assert near(whole[inside, inside], plane[inside, inside])
    assert not near(whole, plane)


def test_seeds_space_and_noise_are_those_of_the_options(run: Shell) -> None:
    lines = {
        "seed": ("--seeds", "1"),
        "Z": ("--space", "FNZ3"),
        "psi": ("--psi", "0.1"),
        "noise": ("--noise", "none"),
        "const": ("--noise", "const"),
    }
    pictures = {}
    for name, options in {"": (), **lines}.items():
        [file] = succeeded(run("generate", *EARTH, "--size", "40", *options)).split()
        pictures[name] = pixels(file)
    for name in lines:
        assert not near(pictures[name], pictures[""]), name
    succeeded(run("generate", *EARTH, "--size", "40", "--space", "FNW3"))
    assert near(pixels("seed0000.40x40.png"), pictures[""])


def test_a_picture_says_what_it_was_made_from_and_is_replaced(run: Shell) -> None:
    for _ in range(2):
        succeeded(run("generate", *EARTH, "--seeds", "3", "--size", "16x8"))
    with Image.open("seed0003.16x8.png") as picture:
        record = json.loads(picture.info["invert"])
    assert record["made_by"] == "generate"
    assert record["made_from"][0] == "seed 3"


def test_a_way_over_the_plane_is_animated(run: Shell) -> None:
    line = ("generate", *EARTH, "--pan", "16,-4", "--frames", "3", "--animation", "gif")
    assert succeeded(run(*line)).split() == ["seed0000.pan.gif"]
    with Image.open("seed0000.pan.gif") as gif:
        assert (gif.n_frames, gif.size) == (3, (32, 32))
        gif.seek(1)
        assert gif.convert("RGB").size == (32, 32)
    succeeded(run("generate", *EARTH, "--pan", "8,0", "--frames", "2", "--size", "24x16"))
    with Image.open("seed0000.pan.webp") as webp:
        assert (webp.n_frames, webp.size) == (2, (24, 16))


def test_frames_are_windows_of_one_picture() -> None:
    from invert.commands.planes import parse_view
    from invert.networks.windows import Window

    view = parse_view("20x10", "7,-4", 3, 20.0, "webp")
    assert view is not None
    assert view.windows((10, 20)) == [
        Window((0, 10), (0, 20)),
        Window((-2, 8), (4, 24)),
        Window((-4, 6), (7, 27)),
    ]


def test_a_generator_with_a_constant_has_no_plane(run: Shell, network: Path) -> None:
    for option in (("--size", "80x40"), ("--pan", "9,9")):
        result = run("generate", "--network", network, *option)
        refused(result, 2, "need a generator whose latent is a map")
        refused(result, 2, "starts from a learned constant and makes pictures of 64×64 px")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--size 80x", "expected --size WxH in pixels, like 8192x4096"),
        ("--size 0x9", "the width of --size is a number in [1"),
        ("--size 2000000000x2000000000", "the number of pixels of --size"),
        ("--pan 3", "expected --pan dx,dy"),
        ("--pan 0,0", "the way of --pan"),
        ("--pan 3,3 --frames 1", "frames is a number in [2"),
        ("--pan 3,3 --fps 0", "fps is 0"),
        ("--pan 3,3 --size 100000x100000", "the number of pixels of --size"),
        ("--size 9 --space W", "its space is FNW3 or FNZ3, got W"),
        ("--size 9 --space FNW5", "its space is FNW3 or FNZ3, got FNW5"),
        ("--size 9 --space FNZ3 --psi 0.5", "truncation psi moves w"),
    ],
)
def test_what_is_no_part_of_a_plane_is_refused(run: Shell, options: str, reason: str) -> None:
    refused(run("generate", *EARTH, *options.split()), 2, reason)
