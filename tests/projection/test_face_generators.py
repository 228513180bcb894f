"""A checkpoint of one's own with FFHQ's mapping network is a face generator."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from networks import small_checkpoint, small_generator
from shell import QUICK, Shell, make_photo, pixels, succeeded
from torch import Tensor

from directions.w_space import w_space_name
from invert.checkpoints import Checkpoint, fingerprint, write_checkpoint
from invert.images.face_detection import Face
from invert.latents.w_spaces import FFHQ, PROBES, knows_aligned_faces
from invert.loading import load_generator

PORTRAIT = Path(__file__).parents[2] / "docs" / "images" / "astronaut.jpg"
POINTS = ((26, 24), (34, 24), (30, 28), (27, 32), (33, 32))  # eyes, nose, corners of the mouth


def with_mapping(mapping: dict[str, Tensor], **sizes: int) -> Checkpoint:
    """A seeded 64 px StyleGAN2 behind another mapping network, given with its gains folded in."""
    checkpoint = small_checkpoint(**sizes)
    rate = checkpoint.config["mapping_lr_multiplier"]
    synthesis = {k: t for k, t in checkpoint.tensors.items() if not k.startswith("mapping.")}
    raw = {
        name: t * math.sqrt(t.shape[1]) / rate if name.endswith(".weight") else t / rate
        for name, t in mapping.items()
        if ".fc" in name
    }
    w_avg = {k: t for k, t in mapping.items() if k == "mapping.w_avg"}
    return replace(checkpoint, tensors={**synthesis, **raw, **w_avg})


def mapping_like_ffhq() -> dict[str, Tensor]:
    """A mapping network whose every w begins like FFHQ's of seed 0, enough to be taken for it."""
    known = len(PROBES[FFHQ])
    w = torch.zeros(32)
    w[:known] = torch.tensor(PROBES[FFHQ])
    bias = torch.where(w < 0, w / 0.2, w) / math.sqrt(2)  # before the leaky ReLU and its gain
    first, second = torch.randn(2, 32, 32, generator=torch.Generator().manual_seed(0)) / 32**0.5
    second[:known] *= 0.002
    return {
        "mapping.fc0.weight": first,
        "mapping.fc0.bias": torch.zeros(32),
        "mapping.fc1.weight": second,
        "mapping.fc1.bias": bias,
        "mapping.w_avg": w,
    }


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "my.safetensors"
    write_checkpoint(path, with_mapping(mapping_like_ffhq()))
    return path


def test_the_mapping_network_tells_a_face_generator_whatever_its_name(own: Path) -> None:
    generator = load_generator(own)
    assert (generator.name, w_space_name(generator)) == ("my", "ffhq")
    assert knows_aligned_faces(generator)
    assert not knows_aligned_faces(small_generator())
    assert not knows_aligned_faces(small_generator(c_dim=3))


def test_it_takes_the_face_and_puts_it_back(run: Shell, own: Path) -> None:
    run.monkeypatch.setattr(
        "invert.projection.framing.face_detector",
        lambda: lambda picture: [Face((0, 0, 1, 1), 1.0, POINTS)],
    )
    photo = make_photo(Path("photos/a.png"))
    succeeded(run("project", photo, "--network", own, *QUICK, "--steps", "0"))
    assert json.loads(Path("a.json").read_text())["image"]["face"]["side"] == 32
    succeeded(run("render", "a.pt", "--into", photo, "-o", "back.png"))
    assert (pixels("back.png") != pixels(photo)).any()
    succeeded(
        run(
            "project",
            photo,
            "--network",
            own,
            *QUICK,
            "--steps",
            "0",
            "--crop",
            "centre",
            "--out",
            "c",
        )
    )
    assert "crop" in json.loads(Path("c/a.json").read_text())["image"]


@pytest.mark.slow
def test_behind_the_true_mapping_network_photographs_are_aligned_edited_and_put_back(
    run: Shell,
) -> None:
    mapping = load_generator("ffhq-mobile").network.mapping
    tensors = {"mapping.w_avg": load_generator("ffhq-mobile").w_avg}
    for k in range(mapping.num_layers):
        tensors[f"mapping.fc{k}.weight"] = mapping.get_buffer(f"weight{k}")
        tensors[f"mapping.fc{k}.bias"] = mapping.get_buffer(f"bias{k}")
    checkpoint = with_mapping(tensors, w_dim=512)
    write_checkpoint("mine.safetensors", checkpoint)
    assert w_space_name(load_generator("mine.safetensors")) == "ffhq"
    assert (
        fingerprint(checkpoint.tensors, checkpoint.config)
        != load_generator("ffhq-mobile").fingerprint
    )

    succeeded(run("project", PORTRAIT, "--network", "mine.safetensors", *QUICK))
    assert "face" in json.loads(Path("astronaut.json").read_text())["image"]
    result = run("edit", "astronaut.pt", "--direction", "smile")
    succeeded(result)
    assert "features edited by residual" in result.err
    succeeded(run("render", "astronaut.smile+3.pt", "--into", PORTRAIT, "-o", "back.png"))
    assert (pixels("back.png") != pixels(PORTRAIT)).any()
    assert "a direction of this W space" in succeeded(
        run("directions", "measure", "smile", "--network", "mine.safetensors")
    )
