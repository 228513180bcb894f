"""`invert project` end to end on a 64 px generator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from networks import small_generator
from PIL import Image
from shell import QUICK, Shell, make_photo, one_line, pixels, refused
from test_interrupts import interrupting

from invert.errors import ModelUnavailableError
from invert.images.face_detection import Face
from invert.latents.latent import Latent


@pytest.mark.parametrize("space", ["FNW5", "FNSW5", "NW+", "W"])
def test_project_writes_four_files_and_render_repeats_the_picture(
    space: str, run: Shell, network: Path, photo: Path, tmp_path: Path
) -> None:
    result = run("project", photo, "--space", space, "--network", network, *QUICK, "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["space"] == space
    assert {p.name for p in tmp_path.glob("face*")} == {
        "face.pt",
        "face.png",
        "face.compare.png",
        "face.json",
    }
    assert json.loads((tmp_path / "face.json").read_text()) == report
    assert Image.open("face.compare.png").size == (3 * 64, 64)
    assert report["image"]["crop"] == [8, 0, 64]
    assert set(report["metrics"]["wasserstein"]) >= {"styles"}
    again = run("render", "face.pt", "--network", network, "-o", "again.png")
    assert again.code == 0, again.err
    assert Path("again.png").read_bytes() == Path("face.png").read_bytes()


def test_half_precision_is_told_in_the_report_and_the_picture_is_still_that_of_the_latent(
    run: Shell, network: Path, photo: Path
) -> None:
    result = run("project", photo, "--half", "--network", network, *QUICK, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["settings"]["half"] is True
    assert run("render", "face.pt", "--network", network, "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("face.png").read_bytes()


def test_full_precision_is_told_in_the_report(run: Shell, network: Path, photo: Path) -> None:
    result = run("project", photo, "--no-half", "--network", network, *QUICK, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["settings"]["half"] is False


def test_render_without_a_latent_takes_the_newest_projection(
    run: Shell, network: Path, photo: Path, tmp_path: Path
) -> None:
    assert run("project", photo, "--network", network, *QUICK).code == 0
    small_generator().sample(0).save(tmp_path / "other.pt")  # newer, but not a projection
    result = run("render", "--network", network)
    assert result.code == 0, result.err
    assert "using face.pt" in result.err
    assert Path("face.render.png").read_bytes() == Path("face.png").read_bytes()
    run.monkeypatch.chdir(photo.parent)
    assert "no projection here" in one_line(run("render", "--network", network))


def test_a_photograph_is_never_overwritten(run: Shell, network: Path, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "photos" / "me.png")
    before = photo.read_bytes()
    run.monkeypatch.chdir(photo.parent)
    assert run("project", "me.png", "--network", network, *QUICK).code == 0
    assert photo.read_bytes() == before
    assert Path("me.pt").exists()
    assert Path("me.projected.png").exists()


def test_one_bad_photograph_of_many_does_not_stop_the_others(
    run: Shell, network: Path, tmp_path: Path
) -> None:
    first = make_photo(tmp_path / "a" / "x.png")
    second = make_photo(tmp_path / "b" / "x.png")
    (tmp_path / "bad.png").write_text("<html>")
    result = run("project", first, tmp_path / "bad.png", second, "--network", network, *QUICK)
    assert result.code == 6
    assert "HTML" in one_line(result)
    assert "1 of 3" in result.err
    assert Path("x.pt").exists()
    assert Path("x-2.pt").exists()
    assert not Path("bad.json").exists()


def test_results_do_not_depend_on_what_else_is_projected(
    run: Shell, network: Path, tmp_path: Path
) -> None:
    first, second = (
        make_photo(tmp_path / "a" / "x.png"),
        make_photo(tmp_path / "b" / "y.png", (64, 90)),
    )
    assert run("project", first, second, "--network", network, *QUICK, "--out", "both").code == 0
    assert run("project", second, "--network", network, *QUICK, "--out", "alone").code == 0
    assert Path("both/y.png").read_bytes() == Path("alone/y.png").read_bytes()


def test_keep_size_projects_the_whole_photograph(run: Shell, network: Path, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "photos" / "wide.png", (132, 64))
    assert run("project", photo, "--network", network, "--keep-size", *QUICK).code == 0
    assert Image.open("wide.png").size == (128, 64)
    assert "features" in one_line(
        run("project", photo, "--network", network, "--keep-size", "--space", "W+", *QUICK)
    )


def test_an_explicit_crop_and_a_start_are_used(run: Shell, network: Path, photo: Path) -> None:
    assert run("project", photo, "--network", network, *QUICK, "--crop", "0,0,40").code == 0
    assert json.loads(Path("face.json").read_text())["image"]["crop"] == [0, 0, 40]
    start = Latent.load("face.pt")
    assert (
        run(
            "project",
            photo,
            "--network",
            network,
            "--init",
            "face.pt",
            "--steps",
            "0",
            *QUICK[:2],
            "--out",
            "o",
        ).code
        == 0
    )
    again = Latent.load("o/face.pt")
    assert all(torch.equal(a, b) for a, b in zip(start.tensors(), again.tensors(), strict=True))


def plant(run: Shell, *faces: Face) -> None:
    """Let the detector, whose weights would have to be fetched, find these faces."""
    run.monkeypatch.setattr(
        "invert.projection.framing.face_detector", lambda: lambda picture: list(faces)
    )


def unavailable() -> None:
    raise ModelUnavailableError("mtcnn: not here")


def planted(x: float, y: float, scale: float = 1) -> Face:
    points = [(-4, 0), (4, 0), (0, 4), (-3, 8), (3, 8)]
    return Face((0, 0, 1, 1), 1.0, tuple((x + scale * a, y + scale * b) for a, b in points))


def test_crop_face_cuts_as_ffhq_does_and_says_where(run: Shell, network: Path, photo: Path) -> None:
    plant(run, planted(30, 24), planted(60, 40, 0.8))
    args = ("project", photo, "--network", network, *QUICK, "--steps", "0", "--crop", "face")
    result = run(*args)
    assert result.code == 0, result.err
    assert (
        "face.png: 2 faces, the largest is taken, number 0; --face 0 to 1 takes another"
        in result.err
    )
    image = json.loads(Path("face.json").read_text())["image"]
    assert image["face"]["corners"] == [[14, 8.8], [46, 8.8], [46, 40.8], [14, 40.8]]
    assert "crop" not in image
    assert Latent.load("face.pt").metadata["image"]["face"]["side"] == 32
    assert run(*args, "--face", "1").code == 0
    assert json.loads(Path("face.json").read_text())["image"]["face"]["side"] == 25.6


def test_generators_of_aligned_faces_look_for_one_that_does_not_lie_so_already(
    run: Shell, network: Path
) -> None:
    wide, square = make_photo(Path("photos/a.png")), make_photo(Path("photos/b.png"), (64, 64))
    aligned = network.rename(network.with_name("ffhq-mobile.safetensors"))  # a name of the registry
    args = ("--network", aligned, *QUICK, "--steps", "0")
    small, large = planted(30, 24), planted(32, 30, 2)
    for photo, face, more, found in (
        (wide, large, (), "face"),
        (square, small, (), "face"),
        (square, large, (), "crop"),
        (square, large, ("--face", "0"), "face"),
        (square, small, ("--crop", "centre"), "crop"),
        (wide, large, ("--crop", "0,0,64"), "crop"),
    ):
        plant(run, face)
        assert run("project", photo, *args, *more).code == 0
        image = json.loads(Path(f"{photo.stem}.json").read_text())["image"]
        assert {"face", "crop"} & set(image) == {found}
    plant(run)
    refused(
        run("project", wide, *args), 3, "a.png: no face found; --crop x,y,side says where it is"
    )
    run.monkeypatch.setattr("invert.projection.framing.face_detector", unavailable)
    refused(
        run("project", wide, *args), 4, "mtcnn: not here; the crop 'centre' (--crop centre) needs"
    )
    assert run("project", wide, *args, "--crop", "centre").code == 0


def test_a_picture_goes_back_into_its_photograph_and_into_no_other(
    run: Shell, network: Path, photo: Path
) -> None:
    assert run("project", photo, "--network", network, *QUICK, "--crop", "10,0,40").code == 0
    assert (
        run("render", "face.pt", "--network", network, "--into", photo, "-o", "back.png").code == 0
    )
    changed = (pixels("back.png") != pixels(photo)).any(2)
    assert changed[16:24, 26:34].any()
    assert not changed[:, :10].any()
    assert not changed[40:].any()
    other = make_photo(Path("photos/other.png"), (70, 64))
    refused(
        run("render", "face.pt", "--network", network, "--into", other), 2, "this one has [70, 64]"
    )
    small_generator().sample(0).save("seed.pt")
    refused(
        run("render", "seed.pt", "--network", network, "--into", photo),
        2,
        "does not say where it was cut",
    )
    before = photo.read_bytes()
    refused(
        run("render", "face.pt", "--network", network, "--into", photo, "-o", photo),
        2,
        "is the photograph itself",
    )
    assert photo.read_bytes() == before


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_progress_is_saved_as_an_animation(
    kind: str, run: Shell, network: Path, photo: Path
) -> None:
    assert run("project", photo, "--network", network, *QUICK, "--save-progress", kind).code == 0
    with Image.open(f"face.progress.{kind}") as animation:
        assert getattr(animation, "n_frames", 1) > 1


def test_the_animation_of_no_steps_is_one_picture(run: Shell, network: Path, photo: Path) -> None:
    no_steps = [*QUICK, "--steps", "0", "--init", "mean", "--save-progress", "gif"]
    assert run("project", photo, "--network", network, *no_steps).code == 0
    with Image.open("face.progress.gif") as animation:
        assert getattr(animation, "n_frames", 1) == 1
    assert Path("face.pt").exists()


def test_steps_of_a_first_stage_that_there_is_not_are_said_to_have_no_effect(
    run: Shell, network: Path, photo: Path
) -> None:
    words = ["project", photo, "--network", network, *QUICK, "--init-steps", "3"]
    assert "--init-steps had no effect: the init was mean" in run(*words, "--init", "mean").err
    assert "no effect" not in run(*words, "--init", "two-stage", "--overwrite").err


def test_an_interrupt_saves_the_best_so_far(
    run: Shell, network: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupting(monkeypatch, "invert.projection.step_inputs.warmup_cooldown", "SIGINT")
    result = run("project", photo, "--network", network, *QUICK, "--init", "mean")
    assert result.code == 130
    assert "--init face.pt" in result.err
    assert json.loads(Path("face.json").read_text())["stop_reason"] == "interrupted"
    assert Path("face.pt").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["none.png"], 3, "none.png"),
        (["photos"], 3, "photos"),
        (["photos/face.png", "--space", "FNW"], 2, "needs the layer"),
        (["photos/face.png", "--space", "FNW99"], 2, "layers 1 to 10"),
        (["photos/face.png", "--network", "nope"], 4, "neither a file nor a known network"),
        (["photos/face.png", "--steps", "-1"], 2, "steps"),
        (["photos/face.png", "--lr", "nan"], 2, "lr"),
        (["photos/face.png", "--preset", "best"], 2, "known: fast"),
        (["photos/face.png", "--seed", "-1"], 2, "seed"),
        (["photos/face.png", "--crop", "1,2"], 2, "x,y,side in pixels, face or centre"),
        (
            ["photos/face.png", "--crop", "1,2,30", "--face", "0"],
            2,
            "face (--face) and crop (--crop) both say where to cut",
        ),
        (["photos/face.png", "--keep-size", "--face", "0"], 2, "no crop or face"),
        (["photos/face.png", "--crop", "0,0,999"], 2, "crop"),
        (["photos/face.png", "--perceptual", "lpisp"], 2, "st-lpips-alex"),
        (["photos/face.png", "--device", "tpu"], 2, "unknown device"),
    ],
)
def test_errors_are_one_line_with_their_code(
    arguments: list[str], code: int, reason: str, run: Shell, network: Path, photo: Path
) -> None:
    refused(run("project", "--network", network, *arguments), code, reason)


def test_without_photographs_there_is_help(run: Shell) -> None:
    result = run("project")
    assert (result.code, result.out) == (2, "")
    assert "invert project examples/portrait.png" in result.err
