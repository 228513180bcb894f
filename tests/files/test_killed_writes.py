"""Results appear whole or not at all, whatever stops the command, at every one of its writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from networks import small_generator
from PIL import Image
from shell import make_photo

from directions.direction import Direction
from directions.direction_files import save_direction
from directions.w_space import WSpace

NET = ["--network", "small.safetensors"]
MASK = ["--mask", "m.png"]
PROJECT = [
    "project",
    "x.jpg",
    *NET,
    "--space",
    "W",
    "--perceptual",
    "none",
    "--steps",
    "1",
    "--init",
    "mean",
]
EDIT = ["edit", "a.pt", *NET, "--direction", "d.safetensors", "-o", "x.png"]
MIX = ["mix", "a.pt", "b.pt", *NET, *MASK, "-o", "x.png"]
COMMANDS = {
    "project": (PROJECT, [*PROJECT, "--seed", "1", "--lr", "0.2"]),
    "edit": ([*EDIT, "--strength", "1"], [*EDIT, "--strength", "2"]),
    "mix": (MIX, [*MIX, "--keep-styles", "4"]),
}
WAYS = ["SIGKILL", "raise", "SIGINT", "SIGTERM", "SIGHUP"]


@pytest.fixture
def inputs(tmp_path: Path, network: Path) -> Path:
    """A folder with a network, a photograph, two latents, a mask and a direction."""
    generator = small_generator()
    folder = network.parent
    make_photo(folder / "x.jpg", (64, 64))
    for seed, name in enumerate("ab"):
        generator.sample(seed, space="FNW3").save(folder / f"{name}.pt")
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    mask.save(folder / "m.png")
    vector = torch.eye(32)[0]
    save_direction(
        Direction("d", vector, 1.0, "", WSpace.from_generator(generator).name),
        folder / "d.safetensors",
    )
    return folder


def faults(folder: Path, way: str, command: str) -> list[str]:
    old, new = COMMANDS[command]
    words = [json.dumps(c) for c in (old, new, ["info", "x.pt"])]
    script = Path(__file__).with_name("killed_writes.py")
    done = subprocess.run(
        [sys.executable, script, str(folder), way, *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["writes"] >= 8
    return found["faults"]


@pytest.mark.parametrize(
    ("command", "way"),
    [
        pytest.param(command, way, marks=[] if quick else pytest.mark.slow)
        for command in COMMANDS
        for way in WAYS
        for quick in [
            way == "SIGKILL" or (command, way) in (("project", "raise"), ("edit", "SIGTERM"))
        ]
    ],
)
def test_stopped_at_any_write_results_are_whole(command: str, way: str, inputs: Path) -> None:
    assert faults(inputs, way, command) == []
