"""No hint names an option that the running command lacks."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import torch
from networks import small_checkpoint, small_generator
from PIL import Image
from shell import Shell, make_photo, one_line, succeeded

import cli
from invert.checkpoints import Checkpoint, write_checkpoint
from invert.commands.hints import fitting, running

MESSAGES = [
    ("x: damaged; get it again (--allow-truncated keeps the rest)", "x: damaged; get it again"),
    ("x: too large; make it smaller or use --max-pixels", "x: too large; make it smaller"),
    (
        "x: has 3 frames; the first is taken, choose another with --frame",
        "x: has 3 frames; the first is taken",
    ),
    ("got b; load that one, or use --force (Generator.adopt)", "got b; load that one"),
    ("no face; --crop x,y,side says where, --crop centre takes the middle", "no face"),
    ("no run; use --resume, or name another output", "no run, or name another output"),
    ("made for `invert project --encoder FILE`; see `--crop`", None),
    ("--from and --to differ", None),
    ("x--y.png: bad; give a PNG", None),
    ("needs --device cpu", None),
]


@pytest.mark.parametrize(("message", "left"), MESSAGES)
def test_clauses_with_options_that_a_command_lacks_are_left_out(
    message: str, left: str | None
) -> None:
    bare = click.Command("bare")
    assert fitting(message, bare) == (message if left is None else left)


def test_clauses_with_its_own_options_stay() -> None:
    command = running(cli.cli, ["project", "a.png", "--frame", "3"])
    assert command is cli.cli.commands["project"]
    for message, _ in MESSAGES[:3]:
        assert fitting(message, command) == message
    assert running(cli.cli, ["--debug", "directions", "show", "smile"]).name == "show"


def test_a_latent_of_another_network_where_force_is_none_and_is_one(
    run: Shell, network: Path
) -> None:
    small_generator(seed=7).sample(0).save("a.pt")
    exemplars = ["directions", "exemplars", "--positive", "a.pt", "--negative", "3", "--name", "x"]
    assert "--force" not in one_line(run(*exemplars, "--network", network))
    assert "--force" in one_line(run("render", "a.pt", "--network", network))


def test_weights_that_are_nan(run: Shell) -> None:
    whole = small_checkpoint()
    broken = {**whole.tensors, "mapping.fc0.bias": torch.full((32,), float("nan"))}
    write_checkpoint("nan.safetensors", Checkpoint("stylegan2", "invert", whole.config, broken))
    error = one_line(run("generate", "--network", "nan.safetensors"))
    assert "--allow-nonfinite" not in error
    assert "use another snapshot" in error
    assert "--allow-nonfinite" in one_line(run("info", "nan.safetensors"))
    succeeded(run("info", "nan.safetensors", "--allow-nonfinite"))


def test_a_damaged_mask_and_a_large_photograph(run: Shell, network: Path) -> None:
    succeeded(run("generate", "--network", network, "--seeds", "0-1", "--space", "FNW5"))
    whole = make_photo(Path("mask.png"), (64, 64)).read_bytes()
    Path("mask.png").write_bytes(whole[: len(whole) // 2])
    mix = run("mix", "seed0000.pt", "seed0001.pt", "--mask", "mask.png", "-o", "x.png")
    assert "--allow-truncated" not in one_line(mix)
    assert "mask.png" in one_line(mix)
    Image.new("1", (9000, 9000)).save("large.png")
    into = run("render", "seed0000.pt", "--into", "large.png")
    known = {name for p in cli.cli.commands["render"].params for name in p.opts}
    assert "too large" in one_line(into)
    assert ("--max-pixels" in one_line(into)) == ("--max-pixels" in known)
