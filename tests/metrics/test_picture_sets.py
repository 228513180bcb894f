"""Sets of pictures: what is in them, and that a longer one begins with a shorter one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import small_generator, small_map_generator
from PIL import Image
from shell import make_photo
from small_vgg import small_features

from invert.errors import ImageError, ModelFileError, UsageError
from invert.generator import NoiseMode
from invert.images.images import read_image, to_levels, to_tensor
from invert.metrics.generated import sampled, seeds_text
from invert.metrics.picture_sets import (
    FolderPictures,
    GeneratedPictures,
    PictureCrops,
    PictureSet,
    batch_size,
    batches_of,
)
from invert.metrics.set_moments import SetMoments, load_moments, measure_set, save_moments


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k, name in enumerate(("b.png", "a.png", "deep/c.jpg")):
        photo = make_photo(tmp_path / "set" / f"{k}.png", (64, 48))
        photo.parent.joinpath("deep").mkdir(exist_ok=True)
        photo.rename(tmp_path / "set" / name)
    (tmp_path / "set" / "a.pt").write_bytes(b"no picture")
    return tmp_path / "set"


def pictures_of(kind: str, folder: Path, count: int) -> PictureSet:
    if kind == "folder":
        return FolderPictures(folder, count=count)
    if kind == "crops":
        return PictureCrops(folder / "a.png", size=40, count=count, seed=3)
    return GeneratedPictures(small_generator(), range(5, 5 + count))


@pytest.mark.parametrize("kind", ["folder", "crops", "samples"])
def test_a_longer_set_begins_with_a_shorter_one_in_any_batches(kind: str, folder: Path) -> None:
    long, short = (pictures_of(kind, folder, count) for count in (3, 2))
    images = torch.cat(list(batches_of(long, batch=2)))
    assert images.shape == (3, 3, *long.size)
    assert torch.equal(images[:2], short.images(0, 2))
    assert torch.equal(images[1:], torch.cat(list(batches_of(long, start=1, batch=1))))
    assert long.identity(2) == short.identity(2)
    assert long.facts["count"] == len(long) == 3
    levels = (images + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)


def test_a_folder_is_read_in_the_order_of_names_and_cut_to_squares(folder: Path) -> None:
    whole = FolderPictures(folder)
    assert [path.name for path in whole.paths] == ["a.png", "b.png", "c.jpg"]
    assert torch.equal(whole.images(0, 1), to_tensor(read_image(folder / "a.png")))
    square = FolderPictures(folder, size=48)
    assert torch.equal(square.images(0, 1), whole.images(0, 1)[..., 8:56])
    assert square.identity(3) != whole.identity(3)


def test_a_picture_of_another_size_is_named(folder: Path) -> None:
    make_photo(folder / "d.png", (80, 64))
    with pytest.raises(ImageError, match=r"d\.png: expected 64×48 px as of a\.png, got 80×64"):
        FolderPictures(folder).images(2, 4)
    assert FolderPictures(folder, size=32).images(0, 4).shape == (4, 3, 32, 32)


def test_a_folder_without_enough_pictures_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"set: expected a folder with 4 pictures .*, got 3"):
        FolderPictures(folder, count=4)
    with pytest.raises(UsageError, match="expected a folder with some pictures"):
        FolderPictures(tmp_path / "nowhere")


@pytest.mark.parametrize("count", [0, -1])
def test_counts_and_batches_below_one_are_refused(count: int, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"count is an integer in \[1, 10000000\], got"):
        FolderPictures(folder, count=count)
    with pytest.raises(UsageError, match=r"batch is an integer in \[1, 10000000\], got"):
        next(batches_of(FolderPictures(folder), batch=count))


def test_crops_lie_uniformly_over_all_places_of_the_picture(tmp_path: Path) -> None:
    ramp = np.zeros((24, 40, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(40), np.arange(24)[:, None]
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    corners = to_levels(PictureCrops(tmp_path / "ramp.png", size=16, count=4500).images(0, 4500))
    x, y = corners[:, 0, 0, 0].long(), corners[:, 1, 0, 0].long()
    for places, free in ((x, 25), (y, 9)):
        counts = torch.bincount(places, minlength=free).double()
        assert len(counts) == free
        expected = 4500 / free
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert chi_square < free + 5 * (2 * free) ** 0.5
    other = PictureCrops(tmp_path / "ramp.png", size=16, count=8, seed=1)
    assert not torch.equal(to_levels(other.images(0, 8)), corners[:8])


def test_a_crop_larger_than_the_picture_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="at least 49 px a side to cut crops from, got 64×48"):
        PictureCrops(folder / "a.png", size=49, count=1)


def test_samples_are_the_pictures_that_the_generator_renders() -> None:
    generator = small_generator()
    made = GeneratedPictures(generator, [3, 4], psi=0.5, noise="const")
    expected = generator.render(generator.sample([3, 4], psi=0.5))
    assert torch.equal(to_levels(made.images(0, 2)), to_levels(expected))
    assert made.facts["seeds"] == "3-4"
    small = GeneratedPictures(generator, [3], noise="none", size=32)
    assert small.images(0, 1).shape == (1, 3, 32, 32)
    with pytest.raises(UsageError, match="at most the generator's, 64 px, got 65"):
        GeneratedPictures(generator, [3], size=65)


def test_random_noise_belongs_to_its_seed() -> None:
    generator = small_generator()
    both, alone = sampled(generator, [3, 4]), sampled(generator, [4])
    assert all(torch.equal(a[1:], b) for a, b in zip(both.noise, alone.noise, strict=True))
    assert not torch.equal(both.noise[2][0], both.noise[2][1])
    silent = sampled(generator, [3], noise="none")
    assert all(not n.any() for n in silent.noise)


@pytest.mark.parametrize("noise", ["random", "const", "none"])
def test_samples_of_a_latent_map_have_an_f_of_their_seed(noise: NoiseMode) -> None:
    generator = small_map_generator()
    both, alone = sampled(generator, [3, 4], noise=noise), sampled(generator, [4], noise=noise)
    assert str(both.space) == "FNW3"
    assert torch.equal(both.features[1:], alone.features)
    assert not torch.equal(both.features[0], both.features[1])
    expected = generator.sample([3, 4], space="FW3" if noise != "random" else "FNW3")
    images = generator.render(expected, noise if noise != "random" else "const")
    assert torch.equal(generator.render(both), images)


def test_seeds_are_told_as_they_are_typed() -> None:
    assert seeds_text([0, 1, 2, 3, 7, 9, 10]) == "0-3,7,9-10"


def test_a_batch_has_a_megapixel_or_one_picture() -> None:
    assert [batch_size((s, s)) for s in (32, 64, 256, 1024, 4096)] == [256, 256, 16, 1, 1]


# --- the moments of a set


def test_moments_go_on_where_they_were_left(folder: Path, tmp_path: Path) -> None:
    network, path = small_features(), tmp_path / "m.safetensors"
    whole = measure_set(pictures_of("crops", folder, 7), network, batch=2)
    seen: list[int] = []
    part = measure_set(pictures_of("crops", folder, 3), network, batch=2, callback=seen.append)
    save_moments(part, path)
    later = measure_set(
        pictures_of("crops", folder, 7),
        network,
        batch=2,
        so_far=load_moments(path),
        callback=seen.append,
    )
    assert seen == [2, 3, 5, 7]
    assert later.facts == whole.facts
    assert later.identity == whole.identity
    torch.testing.assert_close(later.moments.scatter, whole.moments.scatter, rtol=1e-4, atol=1e-6)


def test_an_interrupt_keeps_what_was_measured(folder: Path) -> None:
    kept: list[SetMoments] = []

    def interrupt(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_set(
            pictures_of("crops", folder, 9),
            small_features(),
            batch=2,
            keep=kept.append,
            callback=interrupt,
        )
    assert [m.moments.count for m in kept] == [4]


def test_kept_moments_of_other_pictures_are_refused(folder: Path) -> None:
    network = small_features()
    kept = measure_set(pictures_of("crops", folder, 3), network)
    with pytest.raises(UsageError, match="of other pictures"):
        measure_set(pictures_of("folder", folder, 3), network, so_far=kept)
    with pytest.raises(UsageError, match="of 3 pictures, more than 2"):
        measure_set(pictures_of("crops", folder, 2), network, so_far=kept)
    network.sha256 = "1" * 64
    with pytest.raises(UsageError, match="of another network"):
        measure_set(pictures_of("crops", folder, 3), network, so_far=kept)


@pytest.mark.parametrize("damage", ["count", "mean", "scatter", "nan", "identity"])
def test_a_damaged_file_of_moments_is_refused(damage: str, folder: Path, tmp_path: Path) -> None:
    from invert.metrics.set_moments import FORMAT

    path = tmp_path / "m.safetensors"
    save_moments(measure_set(pictures_of("crops", folder, 3), small_features()), path)
    header, tensors = FORMAT.read(path)
    if damage == "count":
        header["count"] = -1
    elif damage == "identity":
        del header["identity"]
    elif damage == "nan":
        tensors["mean"][0] = float("nan")
    else:
        tensors[damage] = tensors[damage].float()
    fields = {k: v for k, v in header.items() if k not in FORMAT.marks}
    FORMAT.write(path, fields, tensors)
    with pytest.raises(ModelFileError, match=r"m\.safetensors: damaged moments"):
        load_moments(path)
