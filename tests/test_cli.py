"""The commands, end to end and in process, on a seeded 64 px StyleGAN2; errors are one line with their code."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from networks import small_checkpoint, small_generator
from PIL import Image

import cli
from directions.direction import Direction
from invert.checkpoints import write_checkpoint
from invert.latents import Latent

QUICK = ["--perceptual", "none", "--steps", "4", "--init-steps", "2"]


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    """Runs `invert` in this process, in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.monkeypatch, self.capfd = folder, monkeypatch, capfd
        monkeypatch.chdir(folder)

    def __call__(self, *arguments: str | Path) -> Result:
        self.monkeypatch.setattr(sys, "argv", ["invert", *map(str, arguments)])
        self.capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = self.capfd.readouterr()
        return Result(int(stop.value.code or 0), out, err)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capfd)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    write_checkpoint(path, small_checkpoint())
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return make_photo(tmp_path / "photos" / "face.png")


def make_photo(path: Path, size: tuple[int, int] = (80, 64)) -> Path:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.RandomState(0).randint(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def one_line(result: Result) -> str:
    lines = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.err
    assert "Traceback" not in result.err
    return lines[0]


@pytest.mark.parametrize("space", ["FNW5", "FNSW5", "NW+", "W"])
def test_project_writes_four_files_and_render_repeats_the_picture(
    space: str, run: Shell, network: Path, photo: Path, tmp_path: Path
) -> None:
    result = run("project", photo, "--space", space, "--network", network, *QUICK, "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["space"] == space
    assert {p.name for p in tmp_path.glob("face*")} == {"face.pt", "face.png", "face.compare.png", "face.json"}
    assert json.loads((tmp_path / "face.json").read_text()) == report
    assert Image.open("face.compare.png").size == (3 * 64, 64)
    assert report["image"]["crop"] == [8, 0, 64]
    assert set(report["metrics"]["wasserstein"]) >= {"styles"}
    again = run("render", "face.pt", "--network", network, "-o", "again.png")
    assert again.code == 0, again.err
    assert Path("again.png").read_bytes() == Path("face.png").read_bytes()


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
    assert Path("me-FNW5.pt").exists()


def test_one_bad_photograph_of_many_does_not_stop_the_others(run: Shell, network: Path, tmp_path: Path) -> None:
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


def test_results_do_not_depend_on_what_else_is_projected(run: Shell, network: Path, tmp_path: Path) -> None:
    first, second = make_photo(tmp_path / "a" / "x.png"), make_photo(tmp_path / "b" / "y.png", (64, 90))
    assert run("project", first, second, "--network", network, *QUICK, "--out", "both").code == 0
    assert run("project", second, "--network", network, *QUICK, "--out", "alone").code == 0
    assert Path("both/y.png").read_bytes() == Path("alone/y.png").read_bytes()


def test_keep_size_projects_the_whole_photograph(run: Shell, network: Path, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "photos" / "wide.png", (132, 64))
    assert run("project", photo, "--network", network, "--keep-size", *QUICK).code == 0
    assert Image.open("wide.png").size == (128, 64)
    assert "features" in one_line(run("project", photo, "--network", network, "--keep-size", "--space", "W+", *QUICK))


def test_an_explicit_crop_and_a_start_are_used(run: Shell, network: Path, photo: Path) -> None:
    assert run("project", photo, "--network", network, *QUICK, "--crop", "0,0,40").code == 0
    assert json.loads(Path("face.json").read_text())["image"]["crop"] == [0, 0, 40]
    start = Latent.load("face.pt")
    assert (
        run("project", photo, "--network", network, "--init", "face.pt", "--steps", "0", *QUICK[:2], "--out", "o").code
        == 0
    )
    again = Latent.load("o/face.pt")
    assert all(torch.equal(a, b) for a, b in zip(start.tensors(), again.tensors(), strict=True))


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_progress_is_saved_as_an_animation(kind: str, run: Shell, network: Path, photo: Path) -> None:
    assert run("project", photo, "--network", network, *QUICK, "--save-progress", kind).code == 0
    with Image.open(f"face.progress.{kind}") as animation:
        assert getattr(animation, "n_frames", 1) > 1


def test_generate_writes_pictures_that_their_latents_repeat(run: Shell, network: Path) -> None:
    result = run("generate", "--network", network, "--seeds", "0-1,5", "--space", "FNW5", "--out", "s")
    assert result.code == 0, result.err
    assert result.out.split() == ["s/seed0000.png", "s/seed0001.png", "s/seed0005.png"]
    assert run("render", "s/seed0005.pt", "--network", network, "-o", "five.png").code == 0
    assert Path("five.png").read_bytes() == Path("s/seed0005.png").read_bytes()


def test_convert_keeps_the_picture_and_refuses_losses(run: Shell, network: Path) -> None:
    assert run("generate", "--network", network, "--seeds", "0").code == 0
    assert run("convert", "seed0000.pt", "--space", "fnsw5", "--network", network).code == 0
    generator = small_generator()
    a, b = (generator.render(Latent.load(p)) for p in ("seed0000.pt", "seed0000.FNSW5.pt"))
    assert (a - b).abs().max() < 1e-4
    result = run("convert", "seed0000.FNSW5.pt", "--space", "W+", "--network", network)
    assert result.code == 2
    assert "cannot become W+ without loss" in one_line(result)


def test_info_tells_latents_from_checkpoints(run: Shell, network: Path) -> None:
    run("generate", "--network", network, "--seeds", "0", "--space", "FNW5")
    latent = json.loads(run("info", "seed0000.pt", "--json").out)
    assert (latent["kind"], latent["space"]) == ("latent", "FNW5")
    checkpoint = json.loads(run("info", network, "--json").out)
    assert (checkpoint["kind"], checkpoint["resolution"], checkpoint["num_ws"]) == ("checkpoint", 64, 10)
    assert checkpoint["fingerprint"] == latent["fingerprint"]
    ada = run("info", Path(__file__).parent / "fixtures" / "ada_tiny.pkl")
    assert "stylegan2-ada-pytorch" in ada.out
    Path("broken.pt").write_bytes(b"PK\x03\x04 nothing")
    result = run("info", "broken.pt")
    assert (result.code, "broken.pt" in one_line(result)) == (4, True)


def test_convert_network_keeps_the_fingerprint(run: Shell) -> None:
    pickle = Path(__file__).parent / "fixtures" / "ada_tiny.pkl"
    assert run("convert-network", pickle, "tiny.safetensors").code == 0
    a, b = (json.loads(run("info", p, "--json").out)["fingerprint"] for p in (pickle, "tiny.safetensors"))
    assert a == b
    assert "safetensors" in one_line(run("convert-network", pickle, "tiny.pkl"))


def test_a_latent_of_another_generator_needs_force(run: Shell, network: Path, tmp_path: Path) -> None:
    small_generator(seed=1).sample(0).save(tmp_path / "other.pt")
    result = run("render", "other.pt", "--network", network)
    assert (result.code, "--force" in one_line(result)) == (4, True)
    assert run("render", "other.pt", "--network", network, "--force").code == 0


@pytest.fixture
def direction(tmp_path: Path) -> Path:
    path = tmp_path / "tilt.safetensors"
    vector = torch.randn(32, generator=torch.Generator().manual_seed(3))
    Direction("tilt", vector / vector.norm(), step=1.0, meaning="more of something").save(path)
    return path


def test_edit_moves_the_newest_projection_and_the_way_back_returns(
    run: Shell, network: Path, photo: Path, direction: Path
) -> None:
    assert run("project", photo, "--network", network, *QUICK).code == 0
    result = run("edit", "--direction", direction, "--strength", "2", "--network", network)
    assert result.code == 0, result.err
    assert "using face.pt" in result.err
    assert result.out.split() == ["face.tilt+2.png", "face.tilt+2.pt"]
    back = run(
        "edit", "face.tilt+2.pt", "--direction", direction, "--strength", "-2", "-o", "back.pt", "--network", network
    )
    assert back.code == 0, back.err
    generator = small_generator()
    images = [generator.render(Latent.load(p)) for p in ("face.pt", "face.tilt+2.pt", "back.pt")]
    assert (images[0] - images[1]).abs().mean() > 0.01
    assert (images[0] - images[2]).abs().max() < 1e-4


def test_a_masked_edit_stays_inside(run: Shell, network: Path, photo: Path, direction: Path) -> None:
    assert run("project", photo, "--network", network, "--space", "NW+", *QUICK).code == 0
    Image.fromarray(np.repeat(np.repeat(np.array([[255, 0]], np.uint8), 64, 0), 32, 1)).save("left.png")
    result = run(
        "edit", "face.pt", "--direction", direction, "--layers", "fine", "--mask", "left.png", "-o", "m.png",
        "--network", network,
    )  # fmt: skip
    assert result.code == 0, result.err
    a, b = (np.asarray(Image.open(p)).astype(int) for p in ("face.png", "m.png"))
    assert abs(a - b)[:, :16].mean() > 1
    assert abs(a - b)[:, 60:].mean() < 0.5


def test_a_strip_shows_the_strengths_side_by_side(run: Shell, network: Path, photo: Path, direction: Path) -> None:
    assert run("project", photo, "--network", network, *QUICK).code == 0
    assert run("edit", "--direction", direction, "--strip", "-2:2:3", "--network", network).code == 0
    with Image.open("face.tilt.strip.png") as strip:
        assert strip.size == (192, 64)
        middle = strip.crop((64, 0, 128, 64)).tobytes()
    assert middle == Image.open("face.png").tobytes()


def test_mix_takes_each_side_from_its_latent(run: Shell, network: Path) -> None:
    assert run("generate", "--network", network, "--seeds", "0-1", "--space", "FNW5").code == 0
    for name, level in (("none.png", 0), ("all.png", 255)):
        Image.new("L", (64, 64), level).save(name)
    for name, source in (("none.png", "seed0000.png"), ("all.png", "seed0001.png")):
        result = run("mix", "seed0000.pt", "seed0001.pt", "--mask", name, "-o", "x.png", "--network", network)
        assert result.code == 0, result.err
        a, b = (np.asarray(Image.open(p)).astype(int) for p in ("x.png", source))
        assert abs(a - b).max() <= 1  # constant style maps take another path through the convolutions' rounding
    Image.fromarray(np.repeat(np.repeat(np.array([[255, 0]], np.uint8), 64, 0), 32, 1)).save("left.png")
    assert run("mix", "seed0000.pt", "seed0001.pt", "--mask", "left.png", "--network", network).code == 0
    assert Path("seed0000+seed0001.pt").exists()


def test_style_mix_takes_the_named_layers(run: Shell, network: Path) -> None:
    assert run("generate", "--network", network, "--seeds", "0-1", "--space", "W+").code == 0
    result = run("style-mix", "seed0000.pt", "seed0001.pt", "--layers", "2-10", "-o", "x.pt", "--network", network)
    assert result.code == 0, result.err
    a, b, x = (Latent.load(p).styles for p in ("seed0000.pt", "seed0001.pt", "x.pt"))
    assert torch.equal(x[:, :2], a[:, :2])  # type: ignore[index]
    assert torch.equal(x[:, 2:], b[:, 2:])  # type: ignore[index]


@pytest.mark.parametrize("extra", [[], ["--travel", "right"]])
def test_interpolate_writes_an_animation(extra: list[str], run: Shell, network: Path) -> None:
    assert run("generate", "--network", network, "--seeds", "0-1", "--space", "NW+").code == 0
    result = run(
        "interpolate", "seed0000.pt", "seed0001.pt", "--frames", "3", "-o", "x.webp", *extra, "--network", network
    )  # fmt: skip
    assert result.code == 0, result.err
    with Image.open("x.webp") as animation:
        assert getattr(animation, "n_frames", 1) == 3


def test_equalize_and_stats_tell_the_same_story(run: Shell, network: Path, photo: Path) -> None:
    assert run("project", photo, "--network", network, *QUICK).code == 0
    assert run("equalize", "--amount", "1", "-o", "e.pt", "--network", network).code == 0
    before, after = (
        json.loads(run("stats", p, "--json", "--network", network).out)["wasserstein"] for p in ("face.pt", "e.pt")
    )
    assert Path("e.stats.png").exists()
    assert after["styles"] < 0.05 * before["styles"]


def test_networks_lists_what_has_a_name(run: Shell) -> None:
    assert "ffhq-mobile" in run("networks").out
    assert {row["name"] for row in json.loads(run("networks", "--json").out)} >= {"ffhq-mobile", "st-lpips-vgg"}
    assert "non-commercial" in run("download", "ffhq-mobile", "--card").out


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["project", "none.png", "--network", "NET"], 3, "none.png"),
        (["project", "photos", "--network", "NET"], 3, "photos"),
        (["project", "photos/face.png", "--space", "FNW", "--network", "NET"], 2, "needs the layer"),
        (["project", "photos/face.png", "--space", "FNW99", "--network", "NET"], 2, "layers 1 to 10"),
        (["project", "photos/face.png", "--network", "nope"], 4, "neither a file nor a known network"),
        (["project", "photos/face.png", "--steps", "-1", "--network", "NET"], 2, "steps"),
        (["project", "photos/face.png", "--lr", "nan", "--network", "NET"], 2, "lr"),
        (["project", "photos/face.png", "--preset", "best", "--network", "NET"], 2, "known: fast"),
        (["project", "photos/face.png", "--seed", "-1", "--network", "NET"], 2, "seed"),
        (["project", "photos/face.png", "--crop", "1,2", "--network", "NET"], 2, "x,y,side"),
        (["project", "photos/face.png", "--crop", "0,0,999", "--network", "NET"], 2, "crop"),
        (["project", "photos/face.png", "--perceptual", "lpisp", "--network", "NET"], 2, "st-lpips-alex"),
        (["project", "photos/face.png", "--device", "tpu", "--network", "NET"], 2, "unknown device"),
        (["project"], 2, ""),
        (["render", "photos/face.png", "--network", "NET"], 4, "face.png"),
        (["render", "a.pt", "b.pt", "-o", "x.png"], 2, "--output takes one"),
        (["generate", "--seeds", "x", "--network", "NET"], 2, "seeds like"),
        (["generate", "--psi", "1e9", "--network", "NET"], 2, "psi"),
        (["info", "none.pt"], 4, "none.pt"),
        (["download", "nope"], 2, "nope"),
        (["frobnicate"], 2, "frobnicate"),
        (["edit", "--direction", "smlie"], 2, "did you mean smile"),
        (["edit", "--direction", "smile", "--strength", "1", "--strength", "2"], 2, "one --strength per --direction"),
        (["edit", "--direction", "smile", "--strip", "1:2"], 2, "first:last:count"),
        (["edit", "--direction", "smile"], 4, "no projection here"),
        (["mix", "a.pt", "b.pt", "--mask", "m.png"], 4, "a.pt"),
        (["style-mix", "a.pt", "b.pt", "--layers", "fine"], 4, "a.pt"),
        (["interpolate", "a.pt", "b.pt", "--frames", "1", "-o", "x.gif"], 2, "frames"),
        (["equalize", "--amount", "0.5"], 4, "no projection here"),
        (["stats", "none.pt"], 4, "none.pt"),
        (["mix", "a.pt", "b.pt", "--mask", "m.png", "--shift", "x"], 2, "--shift dx,dy"),
    ],
)
def test_errors_are_one_line_with_their_code(
    arguments: list[str], code: int, reason: str, run: Shell, network: Path, photo: Path
) -> None:
    result = run(*(str(network) if a == "NET" else a for a in arguments))
    assert result.code == code, result.err
    if reason:
        assert reason in one_line(result)
    assert result.out == ""


def test_a_missing_gpu_is_an_error_that_names_the_cpu(run: Shell, network: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    result = run("generate", "--network", network, "--device", "cuda")
    assert (result.code, "--device cpu" in one_line(result)) == (2, True)


def test_debug_shows_the_traceback(run: Shell) -> None:
    assert "Traceback" in run("--debug", "info", "none.pt").err


def test_an_interrupt_saves_the_best_so_far(
    run: Shell, network: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from invert.projector import Loss, Variables

    real = Loss.__call__

    def interrupted(self: Loss, variables: Variables, step: int):  # type: ignore[no-untyped-def]
        if variables.features is not None and step == 2:
            raise KeyboardInterrupt
        return real(self, variables, step)

    monkeypatch.setattr(Loss, "__call__", interrupted)
    result = run("project", photo, "--network", network, *QUICK)
    assert result.code == 130
    assert "--init face.pt" in result.err
    assert json.loads(Path("face.json").read_text())["stop_reason"] == "interrupted"
    assert Path("face.pt").exists()


def test_help_is_instant_and_needs_no_torch() -> None:
    code = (
        "import sys, cli\nsys.argv = ['invert', '--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    )
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert time.perf_counter() - began < 5  # generous on a busy machine; the module check is the real one


def test_every_command_has_help_with_an_example(run: Shell) -> None:
    for name, command in cli.cli.commands.items():
        assert run(name, "--help").code == 0
        if command.params and name not in ("networks",):
            assert f"invert {name}" in (command.help or ""), name
