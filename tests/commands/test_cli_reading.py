"""A picture goes back into its photograph, however that was read and whichever way up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from networks import small_generator
from picture_files import encoded
from picture_files import photo as noise
from PIL import Image
from shell import QUICK, Shell, make_photo, one_line, pixels, refused, succeeded

from invert.images.face_detection import Face
from invert.latents.latent import Latent


def planted(x: float, y: float, score: float = 1.0) -> Face:
    points = [(-4, 0), (4, 0), (0, 4), (-3, 8), (3, 8)]
    return Face((0, 0, 1, 1), score, tuple((x + a, y + b) for a, b in points))


def test_a_picture_goes_back_as_the_photograph_was_read(
    run: Shell, network: Path, tmp_path: Path
) -> None:
    frames = [Image.new("RGB", (80, 64), colour) for colour in ("red", "lime", "blue")]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:])
    clear = make_photo(Path("photos/clear.png"))
    with Image.open(clear) as opened:
        opened.putalpha(Image.linear_gradient("L").resize((80, 64)))
        opened.save("clear.png")
    Path("cut.jpg").write_bytes(encoded(noise(160, 128), "JPEG")[:9000])
    for name, options, corner in (
        ("a.gif", ["--frame", "2"], [0, 0, 254]),
        ("clear.png", ["--background", "blue"], [0, 0, 255]),
        ("cut.jpg", ["--allow-truncated", "--max-pixels", "30000"], None),
    ):
        project = (
            "project",
            name,
            "--network",
            network,
            *QUICK,
            "--steps",
            "0",
            "--space",
            "W",
            "--out",
            "o",
        )
        succeeded(run(*project, *options))
        latent = f"o/{Path(name).stem}.pt"
        stored = Latent.load(latent).metadata["image"]["reading"]
        assert set(stored) == {
            option[2:].replace("-", "_") for option in options if option.startswith("--")
        }
        succeeded(
            run(
                "render",
                latent,
                "--network",
                network,
                "--into",
                name,
                "-o",
                "back.png",
                "--overwrite",
            )
        )
        if corner:
            assert np.abs(pixels("back.png")[0, 0] - corner).max() < 3
    args = (
        "render",
        "o/a.pt",
        "--network",
        network,
        "--into",
        "a.gif",
        "-o",
        "back.png",
        "--overwrite",
    )
    succeeded(run(*args, "--frame", "1"))
    assert np.abs(pixels("back.png")[0, 0] - [0, 255, 0]).max() < 3
    refused(run(*args, "--frame", "7"), 3, "has 3 frame(s), no frame 7")
    refused(run(*args, "--max-pixels", "100"), 3, "too large")


@pytest.mark.parametrize(
    "reading", [{"shape": 1}, {"frame": "x"}, {"background": 5}, {"max_pixels": None}, [1], "a"]
)
def test_reading_options_of_a_latent_are_not_trusted(
    reading: object, run: Shell, network: Path, photo: Path
) -> None:
    facts = {"size": [80, 64], "crop": [8, 0, 64], "reading": reading}
    latent = small_generator().sample(0)
    latent.replace(metadata={**latent.metadata, "image": facts}).save("a.pt")
    result = run("render", "a.pt", "--network", network, "--into", photo)
    assert result.code == 2
    assert "Traceback" not in one_line(result)
    assert "unexpected" not in one_line(result)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_face_that_is_not_upright_is_found_turned_and_goes_back(
    degrees: int, run: Shell, network: Path
) -> None:
    turn = {
        90: Image.Transpose.ROTATE_270,
        180: Image.Transpose.ROTATE_180,
        270: Image.Transpose.ROTATE_90,
    }[degrees]
    upright, place = noise(80, 64), planted(30, 24)
    upright.transpose(turn).save("turned.png")
    upright.save("upright.png")

    def detector(picture: Image.Image) -> list[Face]:
        """The face where the picture is upright, and an unsure one where it is not."""
        whole = np.array_equal(np.asarray(picture), np.asarray(upright))
        return [place] if whole else [planted(20, 20, 0.7)]

    run.monkeypatch.setattr("invert.projection.framing.face_detector", lambda: detector)
    args = ("--network", network, *QUICK, "--steps", "0", "--crop", "face", "--space", "W")
    assert "turned" not in run("project", "upright.png", *args).err
    result = run("project", "turned.png", *args)
    assert (
        f"turned.png: no upright face; one is found with the photograph turned by {degrees}°"
        in result.err
    )
    facts = json.loads(Path("turned.json").read_text())["image"]["face"]
    assert facts["turned"] == degrees
    assert facts["side"] == 32
    a, b = (pixels(f"{name}.compare.png")[:, :64] for name in ("upright", "turned"))
    assert np.abs(a - b).max() <= 2
    succeeded(
        run("render", "turned.pt", "--network", network, "--into", "turned.png", "-o", "back.png")
    )
    succeeded(
        run(
            "render",
            "upright.pt",
            "--network",
            network,
            "--into",
            "upright.png",
            "-o",
            "straight.png",
        )
    )
    with Image.open("straight.png") as straight:
        assert (
            np.abs(np.asarray(straight.transpose(turn)).astype(int) - pixels("back.png")).max() <= 3
        )
