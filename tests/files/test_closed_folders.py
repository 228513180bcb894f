"""Paths in a folder that may not be searched are refused by name; none of them is called a bug."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from networks import small_generator
from shell import Shell, nobody, one_line, refused

NET = "small.safetensors"


@pytest.fixture
def closed(run: Shell, network: Path, photo: Path) -> Iterator[Path]:
    """A folder of a latent that nobody but root may look into, in one where anybody may write."""
    folder = Path("closed")
    folder.mkdir()
    small_generator().sample(0).save(folder / "a.pt")
    os.chmod(".", 0o777)
    folder.chmod(0)
    yield folder
    folder.chmod(0o700)


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ("info closed/a.pt", 4, "closed/a.pt: cannot be read (Permission denied)"),
        ("render closed/a.pt -o x.png", 4, "closed/a.pt: cannot be read (Permission denied)"),
        ("generate --network closed/n.pkl", 4, "closed/n.pkl: cannot be read (Permission denied)"),
        (
            f"project photos/face.png --network {NET} --init closed/a.pt",
            4,
            "closed/a.pt: cannot be read (Permission denied)",
        ),
        (
            f"project photos/face.png --network {NET} --encoder closed/e.safetensors",
            4,
            "closed/e.safetensors: cannot be read (Permission denied)",
        ),
        (
            f"project closed/x.png --network {NET} --perceptual none --out .",
            3,
            "closed/x.png: permission denied",
        ),
        (
            f"directions import closed/d.npy --name d --network {NET} -o d.safetensors",
            4,
            "closed/d.npy: cannot be read (Permission denied)",
        ),
    ],
)
def test_a_file_in_a_folder_that_may_not_be_searched_cannot_be_read(
    arguments: str, code: int, reason: str, run: Shell, closed: Path
) -> None:
    with nobody():
        result = run(*arguments.split())
    refused(result, code, reason)


@pytest.mark.parametrize(
    "arguments",
    [
        f"train gan --data closed/x.png --start {NET} -o g.safetensors --steps 1",
        f"train gan --data photos/face.png --start closed/{NET} -o g.safetensors --steps 1",
        "measure fd-vgg16 closed/x closed/y",
    ],
)
def test_no_path_in_such_a_folder_is_a_bug(arguments: str, run: Shell, closed: Path) -> None:
    with nobody():
        result = run(*arguments.split())
    assert "closed/" in one_line(result)
    assert "a bug" not in result.err


def test_the_newest_projection_is_not_looked_for_in_such_a_folder(
    run: Shell, closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mode in (0o000, 0o444):
        closed.chmod(0o700)
        monkeypatch.chdir(closed)
        os.chmod(".", mode)
        with nobody():
            result = run("render")
        monkeypatch.chdir(run.folder)
        refused(result, 4, ".: cannot be searched (Permission denied); name a latent file")


def test_a_link_that_leads_nowhere_is_no_projection(run: Shell) -> None:
    Path("a.pt").symlink_to("nowhere.pt")
    refused(run("render"), 4, "no projection here")


def test_a_name_that_is_too_long_is_no_bug(run: Shell) -> None:
    refused(run("info", "x" * 300), 4, "cannot be read (File name too long)")
