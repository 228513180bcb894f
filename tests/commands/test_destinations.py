"""Where results go: no input is an output, no file of somebody else is replaced, all is checked
before the work.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import small_generator
from PIL import Image
from shell import QUICK, Shell, make_photo, nobody, pixels, refused, succeeded

from invert.checkpoints import read_checkpoint
from invert.commands.records import read_record
from invert.latents.digests import latent_digest
from invert.latents.latent import Latent

EXISTS = "exists, and does not say that this command made it from the same inputs"
INPUT = "an input of this command"


@pytest.fixture
def points(run: Shell, network: Path) -> Shell:
    """A shell in a folder with two latents, a mask, a photograph, an array, a table and a
    direction.
    """
    for seed in (0, 1):
        latent = small_generator().sample(seed, space="FNW5")
        latent.save(f"{'ab'[seed]}.pt")
    Image.fromarray(np.repeat(np.array([[0] * 32 + [255] * 32], np.uint8), 64, 0)).save("m.png")
    np.save("d.npy", np.arange(1, 33, dtype=np.float32))
    Path("t.csv").write_text("".join(f"{k},{k % 2}\n" for k in range(40)))
    succeeded(run("directions", "import", "d.npy", "--name", "q", "--network", network))
    return run


def contents() -> dict[str, str]:
    """A digest of every file in the folder."""
    paths = [path for path in Path().rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


NET = "small.safetensors"
INPUTS_AS_OUTPUTS = {
    "edit, the latent": ["edit", "a.pt", "--direction", "q.safetensors", "-o", "a.pt"],
    "edit, the latent's twin": ["edit", "a.pt", "--direction", "q.safetensors", "-o", "a.png"],
    "edit, the mask": ["edit", "a.pt", "--direction", "q.safetensors", "--mask", "m.png", "-o",
                       "m.pt"],
    "edit, the direction": ["edit", "a.pt", "--direction", "q.safetensors", "-o", "q.safetensors"],
    "edit, a strip": ["edit", "a.pt", "--direction", "q.safetensors", "--mask", "m.png", "--strip",
                      "0:1:2", "-o", "m.png"],
    "mix, the mask": ["mix", "a.pt", "b.pt", "--mask", "m.png", "-o", "m.png"],
    "mix, b by another name": ["mix", "a.pt", "b.pt", "--mask", "m.png", "-o", "./link/b.png"],
    "mix, the network": ["mix", "a.pt", "b.pt", "--mask", "m.png", "-o", NET],
    "canvas": ["canvas", "a.pt", "b.pt", "-o", "b.pt"],
    "style-mix": ["style-mix", "a.pt", "1", "--styles", "fine", "-o", "a.png"],
    "combine": ["combine", "a.pt", "+", "b.pt", "-", "1", "-o", "b.png"],
    "equalize": ["equalize", "a.pt", "--amount", "0.5", "-o", "a.png"],
    "convert": ["convert", "a.pt", "--space", "FNSW5", "-o", "a.pt"],
    "convert-network": ["convert-network", NET, NET],
    "directions import": ["directions", "import", "d.npy", "--name", "small"],
    "directions learn": ["directions", "learn", "t.csv", "--name", "small"],
    "directions learn --against": ["directions", "learn", "t.csv", "--name", "q", "--against",
                                   "q.safetensors"],
    "directions exemplars": ["directions", "exemplars", "--positive", "1", "--negative", "2",
                             "--name", "small"],
    "train attribute": ["train", "attribute", "--direction", "q.safetensors", "-o",
                        "q.safetensors"],
    "train encoder": ["train", "encoder", "--init", "q.safetensors", "-o", "q.safetensors"],
    "measure fd-vgg16": ["measure", "fd-vgg16", "m.png", "--keep-a", NET],
    "measure fd-vgg16, the moments": ["measure", "fd-vgg16", "q.safetensors", "--keep-b",
                                      "q.safetensors"],
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS_AS_OUTPUTS)
def test_no_input_is_ever_an_output(name: str, points: Shell) -> None:
    Path("link").symlink_to(".")
    before = contents()
    command = INPUTS_AS_OUTPUTS[name]
    of_network = [] if command[0] == "convert-network" else ["--network", NET]
    refused(points(*command, *of_network, "--overwrite"), 2, INPUT)
    assert contents() == before


WRITES = {
    "generate": ["generate", "--seeds", "3", "--out", "."],
    "render": ["render", "a.pt"],
    "render --into": ["render", "cut.pt", "--into", "m.png", "-o", "x.png"],
    "edit": ["edit", "a.pt", "--direction", "q.safetensors"],
    "edit --strip": ["edit", "a.pt", "--direction", "q.safetensors", "--strip", "0:1:2"],
    "mix": ["mix", "a.pt", "b.pt", "--mask", "m.png"],
    "canvas": ["canvas", "a.pt", "b.pt"],
    "style-mix": ["style-mix", "a.pt", "1", "--styles", "fine"],
    "style-mix --matrix": ["style-mix", "1", "--matrix", "2", "--styles", "fine"],
    "style-mix --sample": ["style-mix", "1", "--sample", "2", "--styles", "fine"],
    "interpolate gif": ["interpolate", "1", "2", "--frames", "2", "-o", "x.gif"],
    "interpolate webp": ["interpolate", "1", "2", "--frames", "2", "-o", "x.webp"],
    "combine": ["combine", "1", "+", "2", "-", "3"],
    "equalize": ["equalize", "a.pt", "--amount", "0"],
    "stats": ["stats", "a.pt"],
    "convert": ["convert", "a.pt", "--space", "FNSW5"],
    "convert to safetensors": ["convert", "a.pt", "--space", "FNSW5", "-o", "x.safetensors"],
    "convert-network": ["convert-network", NET, "x.safetensors"],
    "directions import": ["directions", "import", "d.npy", "--name", "x"],
    "directions learn": ["directions", "learn", "t.csv", "--name", "x"],
    "directions exemplars": ["directions", "exemplars", "--positive", "1", "--negative", "2",
                             "--name", "x"],
    "directions sefa": ["directions", "sefa", "--count", "2", "-o", "f"],
    "train attribute": ["train", "attribute", "--direction", "q.safetensors", "--samples", "2",
                        "--steps", "0",
                        "-o", "x.safetensors"],
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_results_are_replaced_with_a_word_and_other_files_are_refused(
    name: str, points: Shell
) -> None:
    if name == "render --into":
        facts = {"image": {"crop": [0, 0, 64], "size": [64, 64]}}
        Latent.load("a.pt").replace(metadata=facts).save("cut.pt")
    of_network = [] if name == "convert-network" else ["--network", NET]
    before = set(contents())
    command = (*WRITES[name], *of_network)
    assert "replaces" not in points(*command).err
    made = contents()
    written = sorted(set(made) - before)
    assert written

    again = points(*command)
    assert again.code == 0, again.err
    assert all(Path(path).name in again.err for path in written if "." in path)
    assert "replaces " in again.err
    assert contents() == made

    for path in written:
        Path(path).write_bytes(b"a letter")
        refused(points(*command), 2, EXISTS)
        assert Path(path).read_bytes() == b"a letter"
        succeeded(points(*command, "--overwrite"))
        assert contents() == made


def test_the_picture_of_a_latent_is_replaced_by_the_same_picture_alone(points: Shell) -> None:
    succeeded(points("generate", "--seeds", "3", "--network", NET, "--out", "."))
    before = contents()
    more = ("--network", NET, "-o", "seed0003.png")

    strip = ("edit", "seed0003.pt", "--direction", "q.safetensors", "--strip", "0:1:2")
    refused(points(*strip, *more), 2, f"seed0003.png: {EXISTS}")
    refused(points("stats", "seed0003.pt", *more), 2, f"seed0003.png: {EXISTS}")
    assert contents() == before

    again = points("render", "seed0003.pt", *more)
    succeeded(again)
    assert "replaces seed0003.png" in again.err


def test_project_refuses_what_it_did_not_make_from_this_photograph(
    run: Shell, network: Path
) -> None:
    first, second = make_photo(Path("a/x.jpg")), make_photo(Path("b/x.jpg"), (64, 80))
    other = make_photo(Path("x.png"))
    before = other.read_bytes()
    project = ("--network", network, "--space", "W", *QUICK)
    refused(run("project", first, *project), 2, f"x.png: {EXISTS}")
    assert other.read_bytes() == before
    assert not Path("x.pt").exists()

    succeeded(run("project", first, *project, "--out", "o"))
    refused(run("project", second, *project, "--out", "o"), 2, f"o/x.pt: {EXISTS}")
    again = run("project", first, *project, "--steps", "5", "--out", "o", "--save-progress", "gif")
    assert again.code == 0, again.err
    assert "replaces x.pt, x.png, x.compare.png, x.json" in again.err
    assert Path("o/x.progress.gif").exists()
    succeeded(run("project", first, *project, "--out", "o", "--save-progress", "webp"))
    Path("o/x.progress.gif").write_text("a letter")
    succeeded(run("project", first, *project, "--out", "o"))
    assert sorted(path.name for path in Path("o").glob("*progress*")) == ["x.progress.gif"]
    refused(run("project", first, *project, "--network", twin_of(network), "--out", "o"), 2, EXISTS)
    succeeded(run("project", second, *project, "--out", "o", "--overwrite"))


def twin_of(network: Path) -> Path:
    from networks import small_checkpoint

    from invert.checkpoints import write_checkpoint

    path = network.with_name("twin.safetensors")
    write_checkpoint(path, small_checkpoint(seed=1))
    return path


def test_project_beside_its_photograph_keeps_the_names_and_says_where_the_picture_goes(
    run: Shell, network: Path
) -> None:
    photo = make_photo(Path("me.png"))
    before = photo.read_bytes()
    result = run("project", "me.png", "--network", network, "--space", "W", *QUICK)
    assert result.code == 0, result.err
    assert "me.projected.png" in result.err
    assert photo.read_bytes() == before
    for name in ("me.pt", "me.projected.png", "me.compare.png", "me.json"):
        assert Path(name).is_file()
    assert json.loads(Path("me.json").read_text())["files"]["image"] == "me.projected.png"
    succeeded(run("render", "me.pt", "--network", network))
    assert (pixels("me.render.png") == pixels("me.projected.png")).all()

    onward = run(
        "project", "me.png", "--network", network, "--space", "W", *QUICK, "--init", "me.pt"
    )
    assert onward.code == 0, onward.err
    assert "me-2.pt" in onward.out


def test_project_never_takes_the_name_of_its_network(
    run: Shell, photo: Path, network: Path
) -> None:
    shutil.move(network, "face.safetensors")
    before = contents()
    succeeded(run("convert-network", "face.safetensors", "x.safetensors"))
    os.rename("x.safetensors", "face.pt")  # whatever its name says
    before = Path("face.pt").read_bytes()
    result = run("project", photo, "--network", "face.pt", "--space", "W", *QUICK)
    assert result.code == 0, result.err
    assert "face-2.pt" in result.out
    assert Path("face.pt").read_bytes() == before


def test_places_that_are_no_files_or_folders_are_refused_before_the_work(
    points: Shell, photo: Path
) -> None:
    Path("folder.png").mkdir()
    os.mkfifo("pipe.png")
    Path("file").write_text("")
    Path("dead.png").symlink_to("nowhere")
    render = ("render", "a.pt", "--network", NET, "-o")
    refused(points(*render, "folder.png"), 2, "folder.png: a folder is there")
    refused(points(*render, "pipe.png", "--overwrite"), 2, "pipe.png: a device, pipe or socket")
    refused(points(*render, "file/x.png"), 2, "file: not a folder")
    refused(points(*render, "dead.png"), 2, EXISTS)
    refused(points(*render, "x" * 300 + ".png"), 2, "cannot be a file name here")
    refused(points(*render, "x.jpg"), 2, "ends in .png")
    refused(
        points("convert", "a.pt", "--space", "FNSW5", "--network", NET, "-o", "x.png"),
        2,
        "ends in .pt or .safet",
    )
    for command in (
        ("generate", "--out", "file"),
        ("project", photo, *QUICK, "--out", "file/there"),
    ):
        refused(points(*command, "--network", NET), 2, "file: not a folder")
    refused(
        points("train", "encoder", "--network", NET, "-o", "file/x.safetensors"),
        2,
        "file: not a folder",
    )
    refused(points("directions", "sefa", "--network", NET, "-o", "file"), 2, "file: not a folder")
    succeeded(points(*render, "new/folder/x.png"))


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(
    points: Shell, photo: Path
) -> None:
    os.chmod(".", 0o777)
    Path("ro").mkdir(mode=0o555)
    for command in (
        ("render", "a.pt", "-o", "ro/x.png"),
        ("edit", "a.pt", "--direction", "q.safetensors", "-o", "ro/new/x.pt"),
        ("project", "photos/face.png", "--steps", "1000000", "--out", "ro"),
        ("generate", "--out", "ro/new"),
        ("train", "encoder", "-o", "ro/x.safetensors"),
        ("train", "attribute", "--direction", "q.safetensors", "-o", "ro/x.safetensors"),
        ("directions", "sefa", "-o", "ro"),
        ("directions", "learn", "t.csv", "--name", "x", "-o", "ro/x.safetensors"),
    ):
        with nobody():
            result = points(*command, "--network", NET)
        refused(result, 1, "ro: cannot be written")
    assert not list(Path("ro").iterdir())


def test_a_picture_says_which_latent_it_shows_whoever_rendered_it(points: Shell) -> None:
    succeeded(
        points("convert", "a.pt", "--space", "FNSW5", "--network", NET, "-o", "s.safetensors")
    )
    for name in ("a.pt", "s.safetensors"):
        succeeded(points("render", name, "--network", NET))
        digest = latent_digest(Latent.load(name))
        assert read_record(Path(name).with_suffix(".render.png")) == {"latent": digest}
    assert latent_digest(Latent.load("a.pt")) != latent_digest(Latent.load("b.pt"))


@pytest.mark.parametrize(
    "suffix", [".pt", ".safetensors", ".png", ".gif", ".webp", ".mp4", ".json", ".txt"]
)
def test_a_file_without_a_record_has_none(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    assert read_record(path) == {}
    for content in (b"", b"[1]", b"\x00" * 64, b"\xff" * 64, b"PK\x03\x04"):
        path.write_bytes(content)
        assert read_record(path) == {}
    path.unlink()
    os.mkfifo(path)
    assert read_record(path) == {}


def test_a_network_is_the_same_input_in_any_kind_of_file(run: Shell, network: Path) -> None:
    checkpoint = read_checkpoint(network)
    torch.save({"state_dict": dict(checkpoint.tensors)}, "same.pt")

    succeeded(run("generate", "--network", network, "--out", "o"))
    again = run("generate", "--network", "same.pt", "--out", "o")

    succeeded(again)
    assert "replaces seed0000.png, seed0000.pt" in again.err


def test_a_network_is_converted_again_from_another_kind_of_file(run: Shell, network: Path) -> None:
    torch.save({"state_dict": dict(read_checkpoint(network).tensors)}, "same.pt")
    succeeded(run("convert-network", network, "x.safetensors"))
    succeeded(run("convert-network", "same.pt", "x.safetensors"))
    refused(run("convert-network", twin_of(network), "x.safetensors"), 2, EXISTS)


def test_a_photograph_of_many_gigabytes_is_refused_before_it_is_read(
    run: Shell, network: Path
) -> None:
    with open("huge.png", "wb") as file:
        file.truncate(1 << 40)  # sparse: hashing it would take hours
    refused(run("project", "huge.png", "--network", network, "--space", "W", *QUICK), 3, "huge.png")
