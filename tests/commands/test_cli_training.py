"""`invert train encoder` and what `invert project` does with an encoder, end to end on a 64 px
generator.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shell import QUICK, Shell, refused, succeeded

from invert.latents.latent import Latent

QUICKLY = ["--perceptual", "none", "--batch", "2", "--held-out", "4"]


@pytest.fixture
def encoder(run: Shell, network: Path, tmp_path: Path) -> Path:
    path = tmp_path / "encoder.safetensors"
    succeeded(run("train", "encoder", "--network", network, "--steps", "1", *QUICKLY, "-o", path))
    return path


def test_a_trained_encoder_starts_a_projection(
    run: Shell, network: Path, photo: Path, encoder: Path
) -> None:
    command = ("project", photo, "--network", network, "--encoder", encoder, *QUICK, "--json")
    report = json.loads(succeeded(run(*command)))
    assert report["start"] == "encoder"
    assert Latent.load(report["files"]["latent"]).metadata["projection"]["start"] == "encoder"
    assert set(report["metrics"]["wasserstein"]) == {"styles", "features", "rgb"}
    other = json.loads(succeeded(run("project", photo, "--network", network, *QUICK, "--json")))
    assert other["start"] == "two-stage"


def test_zero_steps_write_what_the_encoder_sees(
    run: Shell, network: Path, photo: Path, encoder: Path
) -> None:
    quick = ("--perceptual", "none", "--steps", "0", "--json")
    report = json.loads(
        succeeded(run("project", photo, "--network", network, "--encoder", encoder, *quick))
    )
    assert report["start"] == "encoder"
    assert report["seconds_per_step"] is None
    succeeded(run("render", "face.pt", "--network", network, "-o", "again.png"))
    assert Path("again.png").read_bytes() == Path("face.png").read_bytes()


def test_a_wide_photograph_is_encoded_at_its_size(
    run: Shell, network: Path, tmp_path: Path, encoder: Path
) -> None:
    from shell import make_photo

    wide = make_photo(tmp_path / "wide.png", (128, 64))
    succeeded(
        run(
            "project",
            wide,
            "--network",
            network,
            "--encoder",
            encoder,
            "--keep-size",
            *QUICK,
            "--out",
            "o",
        )
    )


def test_training_goes_on_and_says_what_it_reached(
    run: Shell, network: Path, encoder: Path
) -> None:
    more = ("train", "encoder", "--network", network, "--steps", "2", *QUICKLY, "-o", encoder)
    again = run(*more)
    refused(again, 2, "a run is there; use --resume")
    assert "replaces" not in again.err
    facts = json.loads(succeeded(run(*more, "--resume", "--json")))
    assert facts["steps"] == 2
    assert facts["held_out"]["features"] > 0
    assert facts["held_out"]["mse"] > 0
    assert facts["images_per_second"] > 0


def test_starts_that_cannot_be_are_refused(
    run: Shell, network: Path, photo: Path, encoder: Path
) -> None:
    project = ("project", photo, "--network", network, *QUICK)
    refused(
        run(*project, "--init", "encoder"),
        2,
        "no init 'encoder' for this image and FNW5; possible: two-stage",
    )
    refused(
        run(*project, "--init", "elsewhere"),
        2,
        "expected encoder, two-stage, mean or a latent file",
    )
    refused(
        run(*project, "--init", "mean", "--encoder", encoder),
        2,
        "--init and --encoder both say where to start",
    )
    refused(
        run(*project, "--encoder", photo),
        4,
        "face.png: expected an encoder of version 4, this is a picture",
    )


def test_training_commands_that_cannot_be_are_refused(run: Shell, network: Path) -> None:
    train = ("train", "encoder", "--network", network, "--steps", "1", *QUICKLY)
    refused(run(*train, "-o", "encoder.pt"), 2, "expected a name that ends in .safetensors")
    refused(run(*train, "-o", "e.safetensors", "--layer", "9"), 2, "layer 9 has 64×64 cells")
    refused(
        run(*train, "-o", "e.safetensors", "--hours", "-1"), 2, "hours is a number in [0, 10000]"
    )
    refused(
        run(*train, "-o", "e.safetensors", "--hours", "1", "--minutes", "1"),
        2,
        "--minutes and --hours both say how long to train; give one of them",
    )
    refused(
        run(*train, "-o", "e.safetensors", "--warped", "3"),
        2,
        "warped is from 0 to batch, which is 2; got 3",
    )
    refused(run(*train, "-o", "e.safetensors", "--resume"), 2, "no run to resume; train first")
