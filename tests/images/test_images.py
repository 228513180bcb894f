"""Ranges, crops and written files: what goes in comes out, to the last level."""

from __future__ import annotations

import math
import os
import resource
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from picture_files import photo, same_pixels
from PIL import Image

from invert.errors import InvertError, UsageError
from invert.images.comparison import error_map, hstack
from invert.images.crops import crop_to, crop_to_multiple, square_crop
from invert.images.images import (
    area_downscale,
    read_image,
    to_pil,
    to_tensor,
    write_animation,
    write_png,
)

# Tensors


def test_all_256_levels_come_back_exactly() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = Image.fromarray(np.stack([levels, levels.T, 255 - levels], axis=-1))
    tensor = to_tensor(picture)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.dtype == torch.float32
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert same_pixels(to_pil(tensor)[0], picture)


def test_channels_rows_and_columns_keep_their_places() -> None:
    picture = Image.new("RGB", (5, 4))
    picture.putpixel((3, 1), (255, 0, 0))
    tensor = to_tensor([picture, picture])
    assert tensor.shape == (2, 3, 4, 5)
    assert (tensor > 0).nonzero().tolist() == [[0, 0, 1, 3], [1, 0, 1, 3]]


def test_values_are_rounded_to_the_nearest_level_and_clamped() -> None:
    levels = torch.tensor(
        [-9.0, -0.25, 0.49, 0.51, 127.5, 254.49, 254.51, 300.0, math.inf, -math.inf]
    )
    picture = to_pil((levels.double() / 127.5 - 1).expand(1, 3, 1, -1))[0]
    assert np.asarray(picture)[0, :, 0].tolist() == [0, 0, 0, 1, 128, 254, 255, 255, 255, 0]


def test_tensor_of_any_float_type_with_gradient_is_shown() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        x = torch.zeros(1, 3, 2, 2, dtype=dtype, requires_grad=True)
        assert to_pil(x)[0].getpixel((0, 0)) == (128, 128, 128)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(UsageError, match="NaN"):
        to_pil(torch.full((1, 3, 2, 2), math.nan))
    with pytest.raises(UsageError, match=r"\[N, 3, H, W\], got \[1, 4, 2, 2\]"):
        to_pil(torch.zeros(1, 4, 2, 2))
    with pytest.raises(UsageError, match="got L 2×2"):
        to_tensor(Image.new("L", (2, 2)))
    with pytest.raises(UsageError, match="got RGB 2×2, RGB 3×2"):
        to_tensor([Image.new("RGB", (2, 2)), Image.new("RGB", (3, 2))])
    with pytest.raises(UsageError, match="got none"):
        to_tensor([])


# Crops


def test_square_is_the_largest_centred_one() -> None:
    assert square_crop(Image.new("RGB", (70, 41))) == (14.5, 0.0, 41.0)
    assert square_crop(Image.new("RGB", (41, 70))) == (0.0, 14.5, 41.0)


def test_box_inside_the_image_is_taken_as_it_is() -> None:
    image = Image.new("RGB", (70, 40))
    assert square_crop(image, (1.5, 0.25, 39.5)) == (1.5, 0.25, 39.5)
    crop_to(image, (30.0 + 1e-9, 0, 40), (8, 8))  # a rounding error outside


@pytest.mark.parametrize(
    "box", [(-1, 0, 9), (0, -1, 9), (62, 0, 9), (0, 32, 9), (0, 0, 41), (5, 5, 0), (5, 5, -2)]
)
def test_box_that_leaves_the_image_or_is_empty_is_refused(box: tuple[float, float, float]) -> None:
    image = Image.new("RGB", (70, 40))
    with pytest.raises(UsageError, match=r"^crop .* expected"):
        square_crop(image, box)
    with pytest.raises(UsageError, match=r"^crop .* expected"):
        crop_to(image, box, (8, 8))
    for wrong in (math.nan, math.inf):
        with pytest.raises(UsageError, match="expected finite"):
            square_crop(image, (*box[:2], wrong))


def test_whole_pixels_at_their_own_size_are_copied_exactly() -> None:
    picture = photo(48, 32)
    assert same_pixels(crop_to(picture, (7, 3, 20), (20, 20)), np.asarray(picture)[3:23, 7:27])
    assert same_pixels(crop_to(picture, (7, 3, 11, 20), (11, 20)), np.asarray(picture)[3:23, 7:18])


def test_fraction_of_a_pixel_moves_a_ramp_by_that_fraction() -> None:
    ramp = Image.fromarray(np.tile(np.arange(0, 200, 2, dtype=np.uint8), (100, 1))).convert("RGB")
    moved = np.asarray(crop_to(ramp, (20.5, 20, 40), (40, 40)), dtype=int)
    whole = np.asarray(crop_to(ramp, (20, 20, 40), (40, 40)), dtype=int)
    assert np.all(np.abs(moved - whole - 1)[:, 4:-4] <= 0)


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    checkers = Image.fromarray(np.indices((64, 64)).sum(0).astype(np.uint8) % 2 * 255).convert(
        "RGB"
    )
    small = np.asarray(crop_to(checkers, (0, 0, 64), (16, 16)), dtype=int)
    assert np.abs(small - 127.5).max() < 8


def test_canvas_is_the_largest_centred_one_without_resampling() -> None:
    picture = photo(70, 45)
    assert same_pixels(crop_to_multiple(picture, 16), np.asarray(picture)[6:38, 3:67])
    assert same_pixels(crop_to_multiple(picture, (70, 9)), picture)
    assert crop_to_multiple(picture, 16, max_side=40).size == (32, 32)


def test_impossible_canvas_and_size_are_refused() -> None:
    with pytest.raises(UsageError, match="70×45 px holds no canvas"):
        crop_to_multiple(photo(70, 45), 64)
    with pytest.raises(UsageError, match="at most 15 px a side"):
        crop_to_multiple(photo(70, 45), 16, max_side=15)
    with pytest.raises(UsageError, match="expected at least 1"):
        crop_to_multiple(photo(70, 45), 0)
    with pytest.raises(UsageError, match="expected at least 1"):
        crop_to_multiple(photo(70, 45), 8, max_side=-8)
    with pytest.raises(UsageError, match="size is 0×4"):
        crop_to(photo(), (0, 0, 8), (0, 4))


# Files


def test_written_picture_reads_back_bit_for_bit(tmp_path: Path) -> None:
    picture = photo()
    write_png(picture, tmp_path / "a.png")
    write_png(to_tensor(picture), tmp_path / "b.png")
    write_png(to_tensor(picture)[0], tmp_path / "c.png")
    for name in "abc":
        assert same_pixels(read_image(tmp_path / f"{name}.png"), picture)


def test_equal_pixels_give_equal_bytes_whatever_came_with_them(tmp_path: Path) -> None:
    picture = photo()
    write_png(picture, tmp_path / "a.png")
    tagged = picture.copy()
    tagged.info |= {
        "dpi": (72, 72),
        "icc_profile": b"profile",
        "comment": "c",
        "transparency": (1, 2, 3),
    }
    tagged.getexif()[0x0112] = 6
    write_png(tagged, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert tagged.info["dpi"] == (72, 72)
    for kind in (b"tEXt", b"tIME", b"iCCP", b"eXIf", b"pHYs", b"tRNS"):
        assert kind not in (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "name", [b"new\nline.png", b"\xff\xfe.png", b"-x.png", b"x" * 200 + b".png"]
)
def test_any_file_name_can_be_written(tmp_path: Path, name: bytes) -> None:
    write_png(photo(), tmp_path / os.fsdecode(name))
    assert os.listdir(os.fsencode(tmp_path)) == [name]


def test_old_file_survives_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_png(photo(20, 20), path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(InvertError, match=r"a\.png: cannot be written") as caught:
            write_png(photo(200, 200), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_missing_folder_and_folder_in_the_way_are_one_line_errors(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "none" / "a.png", tmp_path / "folder.png"):
        with pytest.raises(InvertError, match="cannot be written") as caught:
            write_png(photo(), path)
        assert str(caught.value).startswith(str(path))
    assert os.listdir(tmp_path) == ["folder.png"]


def test_written_file_is_readable_for_others_as_the_umask_says(tmp_path: Path) -> None:
    write_png(photo(), tmp_path / "a.png")
    (tmp_path / "b").touch()
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "b").stat().st_mode
    )


def test_wrong_suffix_batch_and_fps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.png"):
        write_png(photo(), tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="expected one image"):
        write_png(torch.zeros(2, 3, 4, 4), tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"ends in \.gif, \.webp or \.mp4"):
        write_animation([photo()], tmp_path / "a.avi")
    for fps in (0, -1, 51, math.nan):
        with pytest.raises(UsageError, match="fps"):
            write_animation([photo()], tmp_path / "a.gif", fps=fps)
    with pytest.raises(UsageError, match="no frames"):
        write_animation([], tmp_path / "a.gif")
    with pytest.raises(UsageError, match="frames of one size"):
        write_animation([photo(8, 8), photo(9, 8)], tmp_path / "a.gif")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_animation_has_its_frames_its_duration_and_no_end(tmp_path: Path, suffix: str) -> None:
    frames = torch.linspace(-1, 1, 24).view(-1, 1, 1, 1).expand(-1, 3, 20, 30)
    write_animation(frames, tmp_path / f"a.{suffix}", fps=24)
    with Image.open(tmp_path / f"a.{suffix}") as animation:
        assert (animation.n_frames, animation.info["loop"]) == (24, 0)
        duration = 0
        for k in range(24):
            animation.seek(k)
            animation.load()
            duration += animation.info["duration"]
            level = np.asarray(animation.convert("RGB"), dtype=float).mean()
            assert abs(level - k * 255 / 23) < 4
    assert duration == 1000


# Tensor and picture operations


@pytest.mark.parametrize("shape", [(64, 64), (64, 96), (50, 70)])
def test_area_downscale_is_the_box_average(shape: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    y = area_downscale(x, 16)
    assert min(y.shape[-2:]) == 16
    torch.testing.assert_close(y, F.interpolate(x, y.shape[-2:], mode="area"))
    torch.testing.assert_close(area_downscale(x, (8, 5)), F.interpolate(x, (8, 5), mode="area"))


def test_area_downscale_never_enlarges() -> None:
    x = torch.rand(1, 3, 32, 48)
    assert area_downscale(x, 32) is x
    assert area_downscale(x, 64) is x
    assert area_downscale(x, (64, 24)).shape == (1, 3, 32, 24)


def test_error_map_is_black_where_equal_and_brighter_where_worse() -> None:
    a = torch.zeros(1, 3, 4, 256)
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 4, 256)
    map_ = error_map(a, a + 0.55 * ramp)
    luma = np.asarray(map_.convert("L"), dtype=int)[0]
    assert map_.getpixel((0, 0)) == (0, 0, 0)
    assert map_.getpixel((255, 0)) == (255, 255, 255)
    assert np.all(np.diff(luma) >= 0)
    assert luma[64] < luma[128] < luma[192]
    assert not np.asarray(error_map(photo(), photo())).any()


def test_error_map_states_its_scale() -> None:
    grey = Image.new("RGB", (2, 2), (100, 100, 100))
    worse = Image.new("RGB", (2, 2), (151, 151, 151))  # 0.2 of the range
    assert error_map(grey, worse, full_scale=0.2).getpixel((0, 0)) == (255, 255, 255)
    assert error_map(grey, worse, full_scale=1.0).getpixel((0, 0)) == (60, 20, 110)
    with pytest.raises(UsageError, match="one size"):
        error_map(grey, Image.new("RGB", (3, 2)))
    with pytest.raises(UsageError, match="full_scale"):
        error_map(grey, worse, full_scale=0)


def test_strip_holds_its_pictures_side_by_side() -> None:
    a, b = photo(8, 6, seed=0), photo(5, 6, seed=1)
    strip = np.asarray(hstack([a, to_tensor(b)], gap=3))
    assert strip.shape == (6, 16, 3)
    assert same_pixels(strip[:, :8], a)
    assert np.all(strip[:, 8:11] == 255)
    assert same_pixels(strip[:, 11:], b)


def test_strip_of_nothing_or_of_different_heights_is_refused() -> None:
    for pictures in ([], [photo(8, 6), photo(8, 7)]):
        with pytest.raises(UsageError, match="one height"):
            hstack(pictures)
    with pytest.raises(UsageError, match="gap -1"):
        hstack([photo()], gap=-1)
