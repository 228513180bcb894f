"""Commands on a generator whose F_3 is drawn: its latents pass through all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import small_map_checkpoint
from PIL import Image
from shell import QUICK, Shell, make_photo, pixels, refused, succeeded

from invert.checkpoints import write_checkpoint
from invert.latents.latent import Latent

EARTH = ("--network", "earth.safetensors")


@pytest.fixture(autouse=True)
def earth(run: Shell) -> None:
    write_checkpoint("earth.safetensors", small_map_checkpoint())


def generated(run: Shell, space: str) -> None:
    """a.pt and b.pt in that space."""
    succeeded(run("generate", *EARTH, "--seeds", "0-1", "--space", space))
    for seed, name in enumerate("ab"):
        Path(f"seed000{seed}.pt").rename(f"{name}.pt")


@pytest.mark.parametrize("space", ["W", "NW+", "FNZ3", "FNW3", "FSW5"])
def test_latents_of_every_kind_of_space_are_mixed_edited_and_measured(
    run: Shell, space: str
) -> None:
    generated(run, space)
    Image.new("L", (64, 64), 255).save("mask.png")
    succeeded(run("mix", "a.pt", "b.pt", "--mask", "mask.png", "-o", "mix.png"))
    succeeded(run("render", "b.pt", "-o", "b.png"))
    assert abs(pixels("mix.png") - pixels("b.png")).max() <= 1
    for styles in ("coarse", "fine"):
        succeeded(run("style-mix", "a.pt", "b.pt", "--styles", styles, "-o", f"{styles}.png"))
    succeeded(run("stats", "a.pt", "-o", "stats.png"))
    succeeded(run("equalize", "a.pt", "--amount", "0.5", "-o", "equal.pt"))
    succeeded(run("directions", "sefa", *EARTH, "--count", "1", "-o", "."))
    [direction] = Path().glob("sefa-*.safetensors")
    moved = run("edit", "equal.pt", "--direction", direction, "--features", "keep", "-o", "e.pt")
    succeeded(moved)
    assert (pixels("e.png") != pixels("equal.png")).any()
    if space.startswith("F"):
        succeeded(run("canvas", "a.pt", "e.pt", "-o", "both.png"))
        assert pixels("both.png").shape == (64, 128, 3)


def test_seeds_have_layouts_of_their_own_unless_a_space_is_named(run: Shell) -> None:
    succeeded(run("generate", *EARTH, "--seeds", "0-1"))
    latents = [Latent.load(f"seed000{seed}.pt") for seed in (0, 1)]
    assert [str(latent.space) for latent in latents] == ["FNW3", "FNW3"]


@pytest.mark.parametrize("space", ["NW+", "FNZ3", "FNSW3", "FNW5"])
def test_a_projection_is_its_picture_again(run: Shell, space: str) -> None:
    photo = make_photo(Path("photo.jpg"), (64, 64))
    succeeded(run("project", photo, *EARTH, "--space", space, *QUICK))
    succeeded(run("render", "photo.pt", "-o", "again.png"))
    assert (pixels("again.png") == pixels("photo.png")).all()
    succeeded(run("info", "photo.pt"))


def test_the_first_features_are_drawn_and_have_no_companion_to_look_for(run: Shell) -> None:
    generated(run, "FNW3")
    succeeded(run("directions", "pca", *EARTH, "--count", "1", "--samples", "100", "-o", "."))
    edited = run("edit", "a.pt", "--direction", "pca-0.safetensors", "-o", "e.pt")
    succeeded(edited)
    assert "features edited by keep" in edited.err
    assert "companion" not in edited.err


def test_the_layers_that_a_generator_has_are_named(run: Shell) -> None:
    refused(run("generate", *EARTH, "--space", "FNW11"), 2, "this generator has layers 3 to 10")
    refused(run("generate", *EARTH, "--space", "FNW2"), 2, "starts from F_3, which is sampled")
