"""Commands with many inputs go on after one that fails, name it, and end with exit code 6."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from networks import small_generator
from shell import QUICK, Shell, make_photo

from invert.commands.batch import Batch
from invert.errors import InvertError


def errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error: ")]


def test_no_memory_or_permission_for_one_photograph_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    batch, done = Batch(5, "photographs"), []
    for name in ("a", "big", "huge", "closed", "b"):
        with batch.attempt(name):
            if name == "big":
                torch.empty(1 << 50)
            if name == "huge":
                bytearray(1 << 62)
            if name == "closed":
                raise PermissionError(errno.EACCES, "Permission denied", "closed/x.pt")
            done.append(name)
    with pytest.raises(SystemExit, match="6"):
        batch.finish()
    assert done == ["a", "b"]
    written = capsys.readouterr().err
    assert [line.split("; ")[0] for line in errors(written)] == [
        "error: big: out of memory",
        "error: huge: out of memory",
        "error: closed/x.pt: cannot be used (Permission denied)",
    ]
    assert "3 of 5 photographs failed" in written


def test_a_single_input_fails_as_itself_and_bugs_are_not_swallowed() -> None:
    with pytest.raises(InvertError, match="why"), Batch(1, "latents").attempt("a"):
        raise InvertError("why")
    with pytest.raises(KeyError), Batch(2, "latents").attempt("a"):
        raise KeyError("bug")
    with pytest.raises(KeyboardInterrupt), Batch(2, "latents").attempt("a"):
        raise KeyboardInterrupt


def test_render_draws_the_latents_that_can_be_read(run: Shell, network: Path) -> None:
    for seed, name in enumerate("abc"):
        small_generator().sample(seed).save(f"{name}.pt")
    small_generator(seed=1).sample(0).save("stranger.pt")
    Path("bad.pt").write_bytes(b"PK\x03\x04 nothing")
    Path("b.render.png").write_text("a letter")
    result = run(
        "render", "a.pt", "bad.pt", "b.pt", "stranger.pt", "none.pt", "c.pt", "--network", network
    )
    assert result.code == 6
    assert result.out.split() == ["a.render.png", "c.render.png"]
    assert "4 of 6 latents failed" in result.err
    for name, line in zip(
        ("bad.pt", "b.render.png", "none.pt", "stranger.pt"), errors(result.err), strict=True
    ):
        assert name in line
    assert Path("b.render.png").read_text() == "a letter"


def test_pictures_of_two_latents_do_not_take_each_others_place(run: Shell, network: Path) -> None:
    for seed, name in enumerate(("a.pt", "a.safetensors")):
        small_generator().sample(seed).save(name)
    result = run("render", "a.pt", "a.safetensors", "--network", network)
    assert result.code == 6
    assert "a.safetensors: its picture would replace that of another" in result.err


def test_project_goes_on_after_a_photograph_that_cannot_be_read(
    run: Shell, network: Path, tmp_path: Path
) -> None:
    photo = make_photo(tmp_path / "x.jpg")
    unreadable = tmp_path / "y.jpg"
    unreadable.write_bytes(b"")
    result = run(
        "project",
        unreadable,
        photo,
        tmp_path / "none.jpg",
        "--network",
        network,
        "--space",
        "W",
        *QUICK,
    )
    assert result.code == 6
    assert [
        name in line for name, line in zip(("y.jpg", "none.jpg"), errors(result.err), strict=True)
    ] == [True] * 2
    assert Path("x.pt").exists()
