"""A training: its data, its augmentations, and that a killed run ends as an undisturbed one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import small_mobile_tensors
from PIL import Image

from invert.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from invert.checkpoints.ours import FORMAT
from invert.errors import ModelFileError, UsageError
from invert.files.provenance import record
from invert.files.run_folder import STATE
from invert.gan.augmentation import adapted, augment, recolour, warp
from invert.gan.crops import Crops, CropSettings, open_pictures
from invert.gan.settings import GanSettings
from invert.gan.training import GanStep
from invert.gan.training_run import train_gan
from invert.loading import load_generator

SMALL = GanSettings(
    resolution=8, channel_base=64, channel_max=8, z_dim=8, w_dim=8, batch=4, path_every=2,
    r1_every=3, mirror=True, turn=True, half=False,
)  # fmt: skip


def picture(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "earth.png"
    Image.fromarray(picture()).save(path)
    return path


# -- crops


def test_every_place_of_every_picture_is_equally_likely() -> None:
    # Pictures whose pixels say which place they are.
    large, small = np.zeros((6, 9, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)
    large[..., 0], small[..., 0] = np.arange(54).reshape(6, 9), 100 + np.arange(20).reshape(5, 4)
    crops = Crops([large, small], CropSettings(4))

    found = [crops.crop(n)[0, 0, 0] for n in range(6000)]
    places, counts = np.unique(found, return_counts=True)
    assert len(places) == 3 * 6 + 2 * 1
    assert np.abs(counts - 300).max() < 5 * np.sqrt(300)


def test_a_crop_depends_on_seed_and_number_alone() -> None:
    settings = CropSettings(8, mirror=True, turn=True)
    a, b = (Crops([picture()], settings, seed=s) for s in (0, 1))
    assert torch.equal(a.batch(3, 4)[2], a.batch(5, 1)[0])
    assert not torch.equal(a.batch(0, 1), b.batch(0, 1))


def test_flat_and_blue_crops_are_left_out() -> None:
    # Left: flat and grey. Middle: blue noise. Right: red noise.
    noise = picture(20, 20)[..., :1]
    flat = np.full((20, 20, 3), 128, np.uint8)
    blue, red = (
        np.concatenate(x, 2)
        for x in (([noise // 2] * 2 + [noise]), [noise] + [noise // 2] * 2)
        if True
    )
    world = np.concatenate([flat, blue, red], 1)
    crops = Crops([world], CropSettings(8, min_detail=20, max_blue=0.3))
    batch = crops.batch(0, 60)
    assert batch[:, 0].mean() > batch[:, 2].mean() + 0.2
    assert batch.std((2, 3)).mean(1).min() > 20 / 127.5

    with pytest.raises(UsageError, match="none of 400 crops"):
        Crops([flat], CropSettings(8, min_detail=20)).batch(0, 1)


def test_pictures_smaller_than_a_crop_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 64×64 px, the largest is 60×40"):
        Crops([picture()], CropSettings(64))


def test_a_folder_is_all_its_pictures_and_decoded_once(tmp_path: Path) -> None:
    for k in range(2):
        Image.fromarray(picture(seed=k)).save(tmp_path / f"{k}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    copies = tmp_path / "copies"
    opened = open_pictures(tmp_path, copies)
    assert [np.array_equal(p, picture(seed=k)) for k, p in enumerate(opened)] == [True, True]

    (tmp_path / "copies").rename(tmp_path / "elsewhere")
    times = [p.stat().st_mtime_ns for p in sorted((tmp_path / "elsewhere").iterdir())]
    open_pictures(tmp_path, tmp_path / "elsewhere")
    assert times == [p.stat().st_mtime_ns for p in sorted((tmp_path / "elsewhere").iterdir())]


def test_a_zarr_array_is_read_by_crop(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    array = zarr.open(str(tmp_path / "a.zarr"), mode="w", shape=(40, 60, 3), dtype="uint8")
    array[:] = picture()
    [opened] = open_pictures(tmp_path / "a.zarr", tmp_path / "copies")
    settings = CropSettings(16, turn=True)
    a, b = (Crops([source], settings).batch(0, 3) for source in (opened, picture()))
    assert torch.equal(a, b)

    zarr.open(str(tmp_path / "grey.zarr"), mode="w", shape=(40, 60), dtype="uint8")
    with pytest.raises(UsageError, match="expected one array"):
        open_pictures(tmp_path / "grey.zarr", tmp_path / "copies")


def test_places_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no pictures"):
        open_pictures(tmp_path, tmp_path / "copies")
    with pytest.raises(UsageError, match="no such picture or folder"):
        open_pictures(tmp_path / "none.png", tmp_path / "copies")


# -- augmentations


def test_no_probability_leaves_images_as_they_are() -> None:
    images = torch.randn(3, 3, 8, 8)
    random = torch.Generator().manual_seed(0)
    assert torch.allclose(augment(images, torch.zeros(()), random), images, atol=1e-6)
    assert not torch.allclose(augment(images, torch.ones(()), random), images, atol=0.1)


def test_a_quarter_turn_and_a_mirror_are_those_of_the_pixels() -> None:
    images = torch.randn(2, 3, 6, 6)
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    mirror = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = warp(images, torch.stack([turn, mirror]))
    assert torch.allclose(found[0], images[0].rot90(1, (1, 2)), atol=1e-5) or torch.allclose(
        found[0], images[0].rot90(-1, (1, 2)), atol=1e-5
    )
    assert torch.allclose(found[1], images[1].flip(2), atol=1e-5)


def test_augmentations_have_a_second_derivative() -> None:
    images = torch.randn(1, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    maps = torch.tensor([[[0.9, -0.2, 0.1], [0.3, 0.8, -0.1]]], dtype=torch.float64)
    matrix, offset = torch.eye(3, dtype=torch.float64)[None] * 1.3, torch.full((1, 3), 0.2).double()

    def changed(x: torch.Tensor) -> torch.Tensor:
        return recolour(warp(x, maps), matrix, offset).square()

    assert torch.autograd.gradgradcheck(changed, images)


def test_probability_rises_while_the_discriminator_is_too_sure() -> None:
    p = torch.tensor(0.5)
    assert adapted(p, torch.tensor(0.9), 0.6, 1000).item() == pytest.approx(0.502)
    assert adapted(p, torch.tensor(0.1), 0.6, 1000).item() == pytest.approx(0.498)
    assert adapted(torch.tensor(0.0), torch.tensor(0.1), 0.6, 1000).item() == 0


# -- runs


def test_a_killed_run_ends_as_an_undisturbed_one(data: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    train_gan(data, whole, settings=SMALL, steps=7)
    train_gan(data, killed, settings=SMALL, steps=4)
    train_gan(data, killed, settings=SMALL, steps=7, resume=True)

    a, b = (load_generator(path) for path in (whole, killed))
    assert a.fingerprint == b.fingerprint
    sheets = [(p.with_suffix(".run") / "samples.png").read_bytes() for p in (whole, killed)]
    assert sheets[0] == sheets[1]


def test_a_run_writes_a_network_that_works_with_everything(data: Path, tmp_path: Path) -> None:
    output, told = tmp_path / "earth.safetensors", list[GanStep]()
    facts = train_gan(str(data), str(output), settings=SMALL, steps=2, callback=told.append)
    assert (facts["steps"], facts["images"]) == (2, 8)
    assert told[-1].step == 2

    generator = load_generator(output)
    latent = generator.sample(0, space="FNW3")
    assert generator.render(latent).shape == (1, 3, 8, 8)


def test_a_map_network_begins_with_the_layers_of_a_plain_one(data: Path, tmp_path: Path) -> None:
    plain, branch = tmp_path / "plain.safetensors", tmp_path / "branch.safetensors"
    wide = dataclasses.replace(SMALL, resolution=16)
    train_gan(data, plain, settings=wide, steps=2)
    settings = dataclasses.replace(wide, space="FNZ3", latent="normal")
    facts = train_gan(data, branch, settings=settings, steps=0, start=plain)
    assert facts["start"] == "plain.safetensors"

    a, b = (read_checkpoint(path).tensors for path in (plain, branch))
    common = [k for k in b if not k.endswith("const")]
    assert common
    assert all(torch.equal(a[k], b[k]) for k in common)
    assert set(a) - set(b) == {k for k in a if ".b4." in k or ".b8.conv0." in k}


def test_measures_stand_in_the_history_and_in_the_file(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "earth.safetensors"
    train_gan(data, output, settings=SMALL, steps=1, measure=lambda training: {"fd_vgg16": 3.5})
    folder = output.with_suffix(".run")
    lines = (folder / "history.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["fd_vgg16"] == 3.5
    with Image.open(folder / "history.png") as plot:
        assert plot.width > 400


def test_a_network_is_written_before_it_is_measured(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "earth.safetensors"

    def fail(training: object) -> dict[str, float]:
        assert read_checkpoint(output).details["measured"] == {}
        raise UsageError("no measure")

    with pytest.raises(UsageError, match="no measure"):
        train_gan(data, output, settings=SMALL, steps=1, measure=fail)
    assert read_checkpoint(output).details["steps"] == 1


def test_the_network_says_what_it_was_made_from(data: Path, tmp_path: Path) -> None:
    output, made = tmp_path / "earth.safetensors", record("train gan", ("file 0123",))
    train_gan(data, output, settings=SMALL, steps=1, record=made)
    assert read_checkpoint(output).details.items() >= made.items()


def test_a_run_of_other_settings_does_not_go_on(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "earth.safetensors"
    train_gan(data, output, settings=SMALL, steps=1)
    with pytest.raises(UsageError, match="a run is there; use --resume"):
        train_gan(data, output, settings=SMALL, steps=2)

    other = GanSettings(**{**vars(SMALL), "lr": 0.001})
    with pytest.raises(ModelFileError, match=r"a run of other settings \(lr\)"):
        train_gan(data, output, settings=other, steps=2, resume=True)

    state = output.with_suffix(".run") / STATE
    torch.save({"settings": {}}, state)
    with pytest.raises(ModelFileError, match="of other settings"):
        train_gan(data, output, settings=SMALL, steps=2, resume=True)


def test_data_or_a_start_that_are_not_there_leave_nothing_behind(
    data: Path, tmp_path: Path
) -> None:
    output, none = tmp_path / "earth.safetensors", tmp_path / "none.safetensors"
    with pytest.raises(UsageError, match="no such picture or folder"):
        train_gan(tmp_path / "none.png", output, settings=SMALL, steps=1)
    with pytest.raises(UsageError, match="no such network"):
        train_gan(data, output, settings=SMALL, steps=1, start=str(none))
    assert [path.name for path in tmp_path.iterdir()] == ["earth.png"]


def test_a_network_without_its_run_is_a_start_too(data: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "plain.safetensors", tmp_path / "drawn.safetensors"
    plain = dataclasses.replace(SMALL, resolution=16)
    train_gan(data, first, settings=plain, steps=2)
    shutil.rmtree(first.with_suffix(".run"))
    drawn = dataclasses.replace(plain, space="FNZ3")
    facts = train_gan(data, second, settings=drawn, steps=0, start=first)
    assert facts["start"] == "plain.safetensors"
    before, after = (read_checkpoint(path).tensors for path in (first, second))
    layers = [name for name in after if name.startswith("synthesis.") and "const" not in name]
    assert layers
    assert all(torch.equal(before[name], after[name]) for name in layers)


def test_a_network_of_another_architecture_is_no_start(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "mobile.safetensors"
    write_checkpoint(other, Checkpoint("mobile-stylegan", FORMAT, {}, small_mobile_tensors()))
    with pytest.raises(UsageError, match="expected a StyleGAN2, got mobile-stylegan"):
        train_gan(data, tmp_path / "earth.safetensors", settings=SMALL, steps=1, start=other)


def test_settings_out_of_range_are_refused() -> None:
    for changes, message in (
        ({"space": "FNW3"}, "space is Z"),
        ({"space": "FNZ4"}, "space is Z"),
        ({"resolution": 48}, "resolution is 8, 16"),
        ({"space": "FNZ7", "resolution": 16}, "begins at 32 cells"),
        ({"batch": 6, "group": 4}, "multiple of group"),
        ({"mixing": 1.5}, "mixing"),
        ({"space": "FNZ3", "latent": "blured"}, "did you mean blurred"),
        ({"latent": "blured"}, "did you mean blurred"),
        ({"gamma": -5.0}, "gamma is a number in"),
        ({"ema_images": -7}, "ema_images is an integer in"),
        ({"space": "FNZ9", "resolution": 128, "latent": "normal+polygons"}, "at most 32 cells"),
        ({"space": "FNZ13", "resolution": 512, "latent": "learned"}, "at most 128 cells"),
    ):
        with pytest.raises(UsageError, match=message):
            GanSettings(**changes)  # type: ignore[arg-type]
