"""`invert train gan`: what it replaces, what it goes on with, what it refuses before the work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from foreign_files import FIXTURES
from shell import Shell, make_photo, refused, succeeded

from invert.checkpoints import read_checkpoint
from invert.files.run_folder import HISTORY, STATE, add_line

SIZES = ("--size", "16", "--batch", "4", "--channel-base", "128", "--channel-max", "8")
TRAIN = ("train", "gan", "--data", "a/face.png", "--no-half")
EXISTS = "exists, and does not say that this command made it"


@pytest.fixture
def trained(run: Shell) -> Shell:
    """A shell in a folder with a network and its run, and with pictures."""
    make_photo(Path("a/face.png"))
    make_photo(Path("b/other.png"), (100, 70))
    succeeded(run(*TRAIN, *SIZES, "--steps", "1", "-o", "net.safetensors"))
    return run


def test_a_trained_network_is_replaced_with_overwrite_alone(trained: Shell) -> None:
    before = Path("net.safetensors").read_bytes()
    shutil.rmtree("net.run")
    for data in ("b", "a/face.png"):
        again = ("train", "gan", "--data", data, *SIZES, "--steps", "0", "-o", "net.safetensors")
        refused(trained(*again), 2, EXISTS)
        assert Path("net.safetensors").read_bytes() == before
    succeeded(trained(*again, "--overwrite"))


def test_a_run_that_goes_on_replaces_its_own_network_and_no_letter(trained: Shell) -> None:
    resume = (*TRAIN, "--resume", "--steps", "2", "-o", "net.safetensors")
    Path("net.safetensors").write_text("a letter")
    refused(trained(*resume), 2, EXISTS)
    assert Path("net.safetensors").read_text() == "a letter"
    Path("net.safetensors").unlink()
    succeeded(trained(*resume))
    assert "replaces net.safetensors" in trained(*resume).err


def test_a_file_of_another_command_is_not_replaced(trained: Shell) -> None:
    succeeded(trained("convert-network", "net.safetensors", "converted.safetensors"))
    encoder = ("train", "encoder", "--network", "net.safetensors", "--steps", "0")
    refused(trained(*encoder, "-o", "converted.safetensors"), 2, EXISTS)


def test_a_run_goes_on_with_the_settings_that_it_has(trained: Shell) -> None:
    resume = (*TRAIN, "--resume", "--steps", "2", "-o", "net.safetensors")
    refused(trained(*resume, "--lr", "0.001"), 4, "a run of other settings (lr)")
    report = json.loads(succeeded(trained(*resume, "--json")))
    assert (report["steps"], report["settings"]["resolution"]) == (2, 16)
    refused(trained(*resume, "--data", "b"), 2, "a run on other data")


def test_a_start_gives_its_sizes_unless_they_are_typed(trained: Shell) -> None:
    start = (*TRAIN, "--start", FIXTURES / "ada_tiny.pkl", "--batch", "4", "--steps", "0")
    report = json.loads(succeeded(trained(*start, "-o", "x.safetensors", "--json")))
    sizes = ("resolution", "channel_base", "channel_max", "z_dim", "w_dim", "mapping_layers")
    assert [report["settings"][name] for name in sizes] == [32, 256, 16, 16, 16, 3]
    assert read_checkpoint("x.safetensors").details["start"] == "ada_tiny.pkl"
    succeeded(trained(*TRAIN, "--resume", "--steps", "1", "-o", "x.safetensors"))

    other = (*start, "--channel-max", "8", "-o", "y.safetensors")
    refused(trained(*other), 2, "synthesis.b4.const is [16, 4, 4] and that of the new one [8, 4, 4")
    refused(trained(*start[:-2], "--start", "none", "-o", "y.safetensors"), 2, "no such network")


def test_what_cannot_be_measured_is_refused_before_the_training(trained: Shell) -> None:
    line = (*TRAIN, "--steps", "1", "-o", "x.safetensors")
    refused(trained(*line, "--size", "16", "--measure", "64"), 2, "crops of at least 32 px, got 16")
    refused(trained(*line, "--size", "32", "--measure", "1"), 2, "at least 2 samples, got 1")
    assert not Path("x.run").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--steps -3", "steps is a number in [0"),
        ("--gamma -5", "gamma is a number in [0"),
        ("--latent normal", "--latent normal is a distribution of F_i"),
        ("--latent polygno", "did you mean polygons"),
        ("--size 128 --space FNZ9 --latent polygons", "latent polygons is for F_i of at most 32"),
    ],
)
def test_options_that_would_do_nothing_or_harm_are_refused(
    options: str, reason: str, trained: Shell
) -> None:
    steps = () if "--steps" in options else ("--steps", "0")
    refused(trained(*TRAIN, *options.split(), *steps, "-o", "x.safetensors"), 2, reason)


@pytest.mark.parametrize("option", ["--frames 5", "--fps 7", "--animation gif"])
def test_options_of_an_animation_are_refused_without_one(option: str, trained: Shell) -> None:
    command = ("generate", "--network", "net.safetensors", *option.split())
    for more in ((), ("--size", "32x16")):
        refused(trained(*command, *more), 2, "is about an animation; give --pan with it")


def test_the_files_of_a_run_are_told_from_networks(trained: Shell) -> None:
    state, history = Path("net.run", STATE), Path("net.run", HISTORY)
    facts = json.loads(succeeded(trained("info", state, "--json")))
    assert (facts["kind"], facts["step"]) == ("training state of a generator", 1)
    assert "invert train gan --resume" in facts["use"]
    for command in (
        ("generate", "--network", state),
        (*TRAIN, "--start", state, "-o", "x.safetensors"),
    ):
        refused(trained(*command), 4, "this is a training state of a generator; `invert train gan")
    convert = ("convert-network", state, "x.safetensors")
    refused(trained(*convert), 4, "the state of a run of `invert train gan`")

    for line in ({"fd_vgg16": 9.0}, {"generator": 1.0, "discriminator": 1.0}):
        history.unlink(missing_ok=True)
        add_line(history, {"step": 1, "seconds": 1.0, **line})
        facts = json.loads(succeeded(trained("info", history, "--json")))
        assert facts["kind"] == "training history of a generator"
        assert "invert train gan" in facts["use"]
