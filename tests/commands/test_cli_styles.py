"""`invert style-mix`, `interpolate` and `combine` end to end on a 64 px generator."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import small_generator
from PIL import Image
from shell import Shell, pixels, refused, succeeded

from edits.style_mixing import resample, style_mix
from invert.commands.parsing import parse_points
from invert.images.images import to_pil
from invert.latents.latent import Latent


def picture(latent: Latent) -> np.ndarray:
    return np.asarray(to_pil(small_generator().render(latent))[0]).astype(int)


@pytest.fixture
def latents(run: Shell, network: Path) -> list[str]:
    """Two files in W+ of the seeds 0 and 1."""
    assert run("generate", "--network", network, "--seeds", "0-1", "--space", "W+").code == 0
    return ["seed0000.pt", "seed0001.pt"]


def test_style_mix_takes_the_named_styles(run: Shell, network: Path, latents: list[str]) -> None:
    out = succeeded(
        run("style-mix", *latents, "--styles", "2-9", "-o", "x.pt", "--network", network)
    )
    assert out.split() == ["x.png", "x.pt"]
    a, b, x = (Latent.load(p).styles for p in (*latents, "x.pt"))
    assert torch.equal(x[:, :2], a[:, :2])
    assert torch.equal(x[:, 2:], b[:, 2:])


def test_a_file_whose_name_holds_commas_is_one_latent(
    run: Shell, network: Path, latents: list[str]
) -> None:
    a, b = Path(latents[0]).rename("a, b.pt"), Path(latents[1]).rename("c d.pt")
    for words in ((a, b), (a, "--matrix", b), (b, "--matrix", a)):
        succeeded(run("style-mix", *words, "--styles", "fine", "-o", "x.png", "--overwrite"))
    Path("2,3").write_bytes(a.read_bytes())  # numbers are seeds all the same
    assert parse_points(["2,3", "a, b.pt", "4, c d.pt"]) == [2, 3, a, 4, b]


def test_the_old_option_excludes_its_end_and_warns(
    run: Shell, network: Path, latents: list[str]
) -> None:
    words = [*latents, "--network", network]
    succeeded(run("style-mix", *words, "--styles", "2-5", "-o", "new.png"))
    result = run("style-mix", *words, "--layers", "2-6", "-o", "old.png")
    assert "--layers 2-6 is now --styles 2-5" in result.err
    succeeded(result)
    assert Path("old.png").read_bytes() == Path("new.png").read_bytes()


def test_seeds_stand_for_the_latents_that_generate_writes(
    run: Shell, network: Path, latents: list[str]
) -> None:
    succeeded(
        run("style-mix", *latents, "--styles", "coarse", "-o", "files.png", "--network", network)
    )
    out = succeeded(run("style-mix", "0", "1", "--styles", "coarse", "--network", network))
    assert out.split() == ["seed0000.coarse-seed0001.png", "seed0000.coarse-seed0001.pt"]
    assert Path("files.png").read_bytes() == Path("seed0000.coarse-seed0001.png").read_bytes()
    other = run(
        "style-mix",
        "0",
        "1",
        "--styles",
        "coarse",
        "--psi",
        "1",
        "-o",
        "far.png",
        "--network",
        network,
    )
    assert other.code == 0
    assert Path("files.png").read_bytes() != Path("far.png").read_bytes()


def test_the_matrix_has_its_sources_in_the_first_row_and_column(
    run: Shell, network: Path, latents: list[str]
) -> None:
    out = succeeded(
        run(
            "style-mix",
            latents[0],
            "5",
            "--matrix",
            "2-3,1",
            "--styles",
            "middle",
            "--network",
            network,
        )
    )
    assert out.split() == ["seed0000.middle.matrix.png"]
    # row, column, y, x, channel
    cells = pixels(out.strip()).reshape(3, 64, 4, 64, 3).swapaxes(1, 2)
    generator = small_generator()
    rows = [Latent.load(latents[0]), generator.sample(5, psi=0.7)]
    columns = [generator.sample(seed, psi=0.7) for seed in (2, 3, 1)]
    assert (cells[0, 0] == 255).all()
    for k, b in enumerate(columns):
        assert np.array_equal(cells[0, k + 1], picture(b))
    for j, a in enumerate(rows):
        assert np.array_equal(cells[j + 1, 0], picture(a))
        for k, b in enumerate(columns):
            assert np.array_equal(
                cells[j + 1, k + 1], picture(style_mix(generator, a, b, "middle"))
            )


def test_samples_keep_the_other_layers_one_as_a_latent_several_as_a_row(
    run: Shell, network: Path, latents: list[str]
) -> None:
    generator, a = small_generator(), Latent.load(latents[0])
    one = succeeded(
        run("style-mix", latents[0], "--sample", "7", "--styles", "middle", "--network", network)
    )
    assert one.split() == ["seed0000.middle-sample0007.png", "seed0000.middle-sample0007.pt"]
    drawn = resample(generator, a, "middle", 7, psi=0.7)
    assert torch.equal(Latent.load(one.split()[1]).styles, drawn.styles)
    several = succeeded(
        run("style-mix", latents[0], "--sample", "7-8", "--styles", "middle", "--network", network)
    )
    row = pixels(several.strip()).reshape(64, 3, 64, 3).swapaxes(0, 1)
    assert np.array_equal(row[0], picture(a))
    assert np.array_equal(row[1], picture(drawn))
    assert not np.array_equal(row[1], row[2])


@pytest.mark.parametrize("extra", [[], ["--travel", "right"]])
@pytest.mark.parametrize("kind", ["webp", "mp4"])
def test_interpolate_writes_an_animation(
    kind: str, extra: list[str], run: Shell, network: Path, latents: list[str]
) -> None:
    if kind == "mp4":
        av = pytest.importorskip("av")
    ends = ["0", latents[1]]  # a seed and a file
    succeeded(
        run("interpolate", *ends, "--frames", "3", "-o", f"x.{kind}", *extra, "--network", network)
    )
    if kind == "mp4":
        with av.open("x.mp4") as video:
            frames = [np.asarray(frame.to_image()).astype(int) for frame in video.decode(video=0)]
    else:
        with Image.open("x.webp") as animation:
            frames = [pixels_of(animation, k) for k in range(animation.n_frames)]
    assert len(frames) == 3
    for frame, name in zip((frames[0], frames[-1]), ("seed0000.png", "seed0001.png"), strict=True):
        assert abs(frame - pixels(name)).mean() < 12  # lossy, and colours at half the resolution
    assert abs(frames[0] - frames[-1]).mean() > 24


def pixels_of(animation: Image.Image, frame: int) -> np.ndarray:
    animation.seek(frame)
    return np.asarray(animation.convert("RGB")).astype(int)


def test_what_is_given_and_taken_away_again_changes_nothing(
    run: Shell, network: Path, latents: list[str]
) -> None:
    out = succeeded(run("combine", latents[0], "+", "3", "-", "3", "--network", network))
    assert out.split() == ["seed0000+seed0003-seed0003.png", "seed0000+seed0003-seed0003.pt"]
    assert Path(out.split()[0]).read_bytes() == Path("seed0000.png").read_bytes()
    for name, terms in (("x", ("0", "+", "3", "-", "4")), ("y", ("0", "-", "4", "+", "3"))):
        succeeded(run("combine", *terms, "-o", f"{name}.png", "--network", network))
    assert Path("x.png").read_bytes() == Path("y.png").read_bytes()
    a, b, c = (small_generator().sample(seed, psi=0.7).styles for seed in (0, 3, 4))
    assert torch.allclose(Latent.load("x.pt").styles, a + b - c, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["style-mix", "a.pt", "b.pt", "--styles", "fine"], 4, "a.pt"),
        (
            ["style-mix", "a.pt", "--styles", "fine"],
            2,
            "expected two latents or seeds, A and B, got 1",
        ),
        (["style-mix", "1-3", "--styles", "fine"], 2, "got 3; several need --matrix"),
        (
            ["style-mix", "1", "2", "--sample", "3", "--styles", "fine"],
            2,
            "--sample takes one latent or seed, got 2",
        ),
        (
            ["style-mix", "1", "--sample", "3", "--matrix", "4", "--styles", "fine"],
            2,
            "exclude each other",
        ),
        (
            ["style-mix", "1", "--matrix", "4,,5", "--styles", "fine"],
            2,
            "seeds and latent files like 1-3,a.pt",
        ),
        (
            [
                "style-mix",
                "1",
                "--matrix",
                "4",
                "--styles",
                "fine",
                "-o",
                "x.pt",
                "--network",
                "NET",
            ],
            2,
            "ends in .png",
        ),
        (
            ["style-mix", "1", "2", "--styles", "rough", "--network", "NET"],
            2,
            "known: coarse, middle, fine",
        ),
        (
            ["style-mix", "1", "2", "--styles", "fine", "--psi", "nan"],
            2,
            "psi is a number in [-10, 10]",
        ),
        (["interpolate", "a.pt", "b.pt", "--frames", "1", "-o", "x.gif"], 2, "frames"),
        (
            ["interpolate", "a.pt", "b.pt", "-o", "x.avi"],
            2,
            "x.avi: expected a name that ends in .gif, .webp or .mp4",
        ),
        (["interpolate", "a.pt", "b.pt", "--fps", "99", "-o", "x.gif"], 2, "fps is 99.0"),
        (["interpolate", "a.pt", "b.pt", "-o", "x.gif"], 4, "a.pt"),
        (["interpolate", "4294967296", "1", "-o", "x.gif"], 2, "seed is a number in"),
        (["combine", "a.pt", "+", "b.pt"], 2, "expected A + B - C"),
        (["combine", "a.pt+b.pt-c.pt"], 2, "with spaces between; got 'a.pt+b.pt-c.pt'"),
        (["combine", "a.pt", "+", "1", "-", "2"], 4, "a.pt"),
    ],
)
def test_errors_are_one_line_with_their_code(
    arguments: list[str], code: int, reason: str, run: Shell, network: Path
) -> None:
    refused(run(*(str(network) if a == "NET" else a for a in arguments)), code, reason)


def test_without_an_encoder_mp4_names_the_package(
    run: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # as if it were not installed
    refused(
        run("interpolate", "1", "2", "-o", "x.mp4"),
        2,
        "x.mp4: MP4 needs PyAV; pip install 'invert[video]'",
    )
