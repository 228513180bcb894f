"""What of a folder a training's crops are of, and that a run goes on with its own data alone."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from invert.errors import ImageError, ImageWarning, UsageError
from invert.files.run_folder import STATE
from invert.gan.crops import Crops, CropSettings, data_digest, open_pictures, picture_files
from invert.gan.settings import GanSettings
from invert.gan.training_run import train_gan

SMALL = GanSettings(
    resolution=8, channel_base=64, channel_max=8, z_dim=8, w_dim=8, batch=4, half=False,
)  # fmt: skip


def save_picture(path: Path, side: int = 24, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_pictures_too_small_for_a_crop_are_passed_over(tmp_path: Path) -> None:
    data, copies = tmp_path / "data", tmp_path / "copies"
    save_picture(data / "a.png")
    save_picture(data / "thumbnail.png", 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = Crops(open_pictures(data, copies), CropSettings(8))
    alone = Crops(open_pictures(data / "a.png", copies), CropSettings(8))
    assert torch.equal(both.batch(0, 5), alone.batch(0, 5))


def test_hidden_files_and_folders_are_no_data(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    save_picture(tmp_path / ".thumbnails" / "b.png")
    (tmp_path / "._a.png").write_text("what macOS leaves beside a file")
    assert picture_files(tmp_path) == [tmp_path / "a.png"]


def test_pictures_that_cannot_be_read_are_passed_over_with_a_warning(tmp_path: Path) -> None:
    data, copies = tmp_path / "data", tmp_path / "copies"
    save_picture(data / "a.png")
    (data / "b.png").write_text("no picture")
    Image.new("RGBA", (24, 24), (0, 0, 0, 0)).save(data / "c.png")
    with pytest.warns(ImageWarning) as told:
        assert len(open_pictures(data, copies)) == 1
    assert [str(w.message).partition(": ")[0] for w in told] == [
        str(data / "b.png"),
        str(data / "c.png"),
    ]
    assert all(str(w.message).endswith("; it is left out") for w in told)

    (data / "a.png").unlink()
    with pytest.warns(ImageWarning), pytest.raises(UsageError, match="none of 2 can be read"):
        open_pictures(data, copies)
    with pytest.raises(ImageError, match="not a raster image"):
        open_pictures(data / "b.png", copies)


def test_a_training_never_sees_the_samples_of_a_run(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    save_picture(tmp_path / "holiday.run" / "b.png")  # a folder of that name, and no run
    output = tmp_path / "net.safetensors"
    train_gan(tmp_path, output, settings=SMALL, steps=2)
    whole = torch.load(output.with_suffix(".run") / STATE)["parameters"]
    shutil.rmtree(output.with_suffix(".run"))

    train_gan(tmp_path, output, settings=SMALL, steps=1)
    assert (output.with_suffix(".run") / "samples.png").exists()
    train_gan(tmp_path, output, settings=SMALL, steps=2, resume=True)
    halves = torch.load(output.with_suffix(".run") / STATE)["parameters"]
    assert all(torch.equal(whole[name], halves[name]) for name in whole)
    found = [path.relative_to(tmp_path).as_posix() for path in picture_files(tmp_path)]
    assert found == ["a.png", "holiday.run/b.png"]


def test_a_run_goes_on_with_its_own_data_alone(tmp_path: Path) -> None:
    data, moved, output = tmp_path / "data", tmp_path / "moved", tmp_path / "net.safetensors"
    save_picture(data / "a.png")
    train_gan(data, output, settings=SMALL, steps=1)
    data.rename(moved)
    train_gan(moved, output, settings=SMALL, steps=2, resume=True)

    save_picture(moved / "b.png", seed=1)
    with pytest.raises(UsageError, match=r"run\.pt: a run on other data"):
        train_gan(moved, output, settings=SMALL, steps=3, resume=True)

    # A run that was saved before runs said what their data was.
    path = output.with_suffix(".run") / STATE
    state = torch.load(path)
    del state["data"], state["config"]
    torch.save(state, path)
    assert train_gan(moved, output, settings=SMALL, steps=3, resume=True)["steps"] == 3


def test_the_digest_of_data_knows_names_and_sizes(tmp_path: Path) -> None:
    digests = []
    for name, side in (("a.png", 24), ("b.png", 24), ("a.png", 25)):
        folder = tmp_path / str(len(digests))
        save_picture(folder / name, side)
        digests += [data_digest(folder)]
        assert data_digest(folder / name) == digests[-1]
    assert len(set(digests)) == 3


def test_an_array_of_another_shape_is_other_data(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    for name, height in (("a.zarr", 40), ("b.zarr", 40), ("c.zarr", 41)):
        zarr.open(str(tmp_path / name), mode="w", shape=(height, 60, 3), dtype="uint8")
    a, b, c = (data_digest(tmp_path / name) for name in ("a.zarr", "b.zarr", "c.zarr"))
    assert a == b != c


def test_negative_steps_are_refused(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png")
    with pytest.raises(UsageError, match="steps is an integer in"):
        train_gan(tmp_path, tmp_path / "net.safetensors", settings=SMALL, steps=-3)
