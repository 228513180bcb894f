"""A latent remembers the file of its network: it is found again, also where it was moved, and asked
for where not.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from networks import small_checkpoint, small_generator
from shell import QUICK, Shell, one_line, refused, succeeded

from directions.direction import Direction
from directions.direction_files import save_direction
from invert.checkpoints import write_checkpoint
from invert.latents.latent import Latent
from invert.loading import load_generator


@pytest.fixture
def latent(run: Shell, network: Path) -> Path:
    """A latent in the current folder, of a network in nets/."""
    Path("nets").mkdir()
    network.rename("nets/mine.safetensors")
    succeeded(run("generate", "--network", "nets/mine.safetensors", "--seeds", "0"))
    return Path("seed0000.pt")


def test_a_projection_is_edited_without_naming_its_network(
    run: Shell, network: Path, photo: Path
) -> None:
    save_direction(Direction("mine", torch.eye(32)[0], 1.0, "mine", ""), "d.safetensors")
    succeeded(run("project", photo, "--network", network, "--space", "W+", *QUICK))
    succeeded(run("edit", "face.pt", "--direction", "d.safetensors"))
    succeeded(run("render", "face.mine+3.pt"))
    succeeded(run("convert", "face.mine+3.pt", "--space", "FNW5"))
    succeeded(run("interpolate", "face.pt", "face.mine+3.pt", "--frames", "2", "-o", "x.gif"))
    assert Path("face.mine+3.render.png").read_bytes() == Path("face.mine+3.png").read_bytes()


def test_the_path_is_stored_as_it_is_and_as_seen_from_the_latent(run: Shell, latent: Path) -> None:
    network = Latent.load(latent).metadata["network"]
    assert network == {
        "path": str(Path("nets/mine.safetensors").absolute()),
        "relative": "nets/mine.safetensors",
    }
    Path("deep/down").mkdir(parents=True)
    succeeded(run("convert", latent, "--space", "W+", "-o", "deep/down/a.pt"))
    assert (
        Latent.load("deep/down/a.pt").metadata["network"]["relative"]
        == "../../nets/mine.safetensors"
    )


def test_a_latent_that_moves_alone_still_finds_its_network(run: Shell, latent: Path) -> None:
    Path("away").mkdir()
    latent.rename("away/a.pt")
    succeeded(run("render", "away/a.pt"))


def test_a_latent_that_moves_with_its_network_finds_it(run: Shell, latent: Path) -> None:
    Path("new").mkdir()
    for name in ("nets", latent):
        os.rename(name, Path("new") / name)
    succeeded(run("render", "new/seed0000.pt"))
    moved = Latent.load("new/seed0000.pt")
    assert not Path(moved.metadata["network"]["path"]).exists()
    succeeded(run("convert", "new/seed0000.pt", "--space", "W+", "-o", "new/b.pt"))
    remembered = Latent.load("new/b.pt").metadata["network"]
    assert remembered["path"] == str(Path("new/nets/mine.safetensors").absolute())


@pytest.mark.parametrize("place", ["beside", "current"])
def test_a_network_of_another_name_is_found_by_its_weights(
    place: str, run: Shell, latent: Path
) -> None:
    Path("away").mkdir()
    latent.rename("away/a.pt")
    folder = Path("away" if place == "beside" else ".")
    write_checkpoint(folder / "a-stranger.safetensors", small_checkpoint(seed=7))
    shutil.move("nets/mine.safetensors", folder / "other.safetensors")
    result = run("render", "away/a.pt")
    succeeded(result)
    assert f"its network is {folder / 'other.safetensors'} now" in result.err


def test_another_file_in_its_place_is_not_taken_for_it(run: Shell, latent: Path) -> None:
    shutil.move("nets/mine.safetensors", "epoch1.safetensors")
    write_checkpoint(Path("nets/mine.safetensors"), small_checkpoint(seed=7))
    assert "its network is epoch1.safetensors now" in run("render", latent).err
    Path("epoch1.safetensors").unlink()
    refused(run("render", latent), 4, "--force")
    succeeded(run("render", latent, "--force"))


def test_another_network_at_the_relative_path_does_not_hide_the_one_at_the_absolute_path(
    run: Shell, network: Path
) -> None:
    for project, seed in (("p1", 3), ("p2", 7)):
        Path(project, "la").mkdir(parents=True)
        write_checkpoint(Path(project, "net.safetensors"), small_checkpoint(seed=seed))
    succeeded(run("generate", "--network", "p1/net.safetensors", "--out", "p1/la"))
    copied = shutil.copy("p1/la/seed0000.pt", "p2/la")
    result = run("render", copied)
    succeeded(result)
    assert "its network is" not in result.err  # where it was
    plain, again = Path("p1/la/seed0000.png"), Path("p2/la/seed0000.render.png")
    assert plain.read_bytes() == again.read_bytes()

    Path("p2/net.safetensors").write_bytes(b"junk")
    succeeded(run("render", copied))
    write_checkpoint(Path("p1/net.safetensors"), small_checkpoint(seed=8))
    refused(run("render", copied), 4, "--force")


def test_a_file_that_is_no_network_in_its_place_hides_no_other(run: Shell, latent: Path) -> None:
    Path("nets/mine.safetensors").rename("kept.safetensors")
    Path("nets/mine.safetensors").write_bytes(b"junk")
    assert "its network is kept.safetensors now" in run("render", latent).err
    Path("kept.safetensors").unlink()
    refused(run("render", latent), 4, "nets/mine.safetensors: no known model format")


def test_a_network_that_is_nowhere_is_asked_for(run: Shell, latent: Path) -> None:
    Path("nets/mine.safetensors").rename("nets/hidden.safetensors")
    for command in (
        ["render", latent],
        ["edit", latent, "--direction", "smile"],
        ["stats", latent],
    ):
        result = run(*command)
        assert result.code == 4
        assert "nets/mine.safetensors" in one_line(result)
        assert "--network FILE" in one_line(result)
    succeeded(run("render", latent, "--network", "nets/hidden.safetensors"))


def test_latents_from_before_paths_were_kept_find_a_network_of_that_name(
    run: Shell, network: Path
) -> None:
    latent = small_generator().sample(0)
    assert latent.metadata == {"generator": "small"}
    latent.save("old.pt")
    succeeded(run("render", "old.pt"))
    network.rename("else.safetensors")
    succeeded(run("render", "old.pt", "-o", "again.png"))
    Path("else.safetensors").unlink()
    refused(run("render", "old.pt"), 4, "its network small (fingerprint")


def test_a_file_named_like_a_registered_network_is_taken_from_its_path(
    run: Shell, network: Path
) -> None:
    network.rename("ffhq-mobile.safetensors")
    succeeded(run("generate", "--network", "ffhq-mobile.safetensors", "--seeds", "0"))
    succeeded(run("render", "seed0000.pt"))


def test_several_latents_of_several_networks_are_rendered_each_with_its_own(
    run: Shell, network: Path
) -> None:
    write_checkpoint(Path("second.safetensors"), small_checkpoint(seed=7))
    succeeded(run("generate", "--network", network, "--seeds", "0", "--out", "a"))
    succeeded(run("generate", "--network", "second.safetensors", "--seeds", "0", "--out", "b"))
    succeeded(run("render", "a/seed0000.pt", "b/seed0000.pt"))
    for folder in "ab":
        plain, again = Path(f"{folder}/seed0000.png"), Path(f"{folder}/seed0000.render.png")
        assert plain.read_bytes() == again.read_bytes()


def test_a_latent_claimed_for_another_network_belongs_to_that(run: Shell, latent: Path) -> None:
    write_checkpoint(Path("second.safetensors"), small_checkpoint(seed=7))
    second = load_generator("second.safetensors")
    adopted = second.adopt(Latent.load(latent))
    assert adopted.metadata["generator"] == "second"
    adopted.save("adopted.pt")
    succeeded(run("render", "adopted.pt"))


@pytest.mark.parametrize(
    "network", [{"path": 3}, {"path": "x" * 9999, "relative": "\0"}, {"relative": "/dev/zero"}, {}]
)
def test_a_path_that_is_none_is_passed_over(network: dict, run: Shell) -> None:
    latent = small_generator().sample(0)
    latent.replace(metadata={"generator": "small", "network": network}).save("a.pt")
    assert "--network FILE" in one_line(run("render", "a.pt"))


@pytest.mark.parametrize("url", ["https://example.com/ffhq.pkl", "s3://bucket/ffhq.pkl"])
def test_an_address_is_told_to_be_downloaded_first(url: str, run: Shell) -> None:
    refused(run("generate", "--network", url), 2, "download the file, then give its path: ffhq.pkl")
    refused(run("render", url), 2, "download the file, then give its path: ffhq.pkl")
    refused(run("project", url.replace("pkl", "jpg")), 2, "give its path: ffhq.jpg")


def test_the_network_of_a_latent_is_an_input_that_is_never_replaced(
    run: Shell, latent: Path
) -> None:
    before = Path("nets/mine.safetensors").read_bytes()
    edit = ["convert", latent, "--space", "W+", "-o", "nets/mine.safetensors", "--overwrite"]
    refused(run(*edit), 2, "an input of this command")
    assert Path("nets/mine.safetensors").read_bytes() == before
