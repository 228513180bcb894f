"""Every mode and tag of an image file comes out as the sRGB picture a viewer shows."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from icc_profiles import SRGB_COLUMNS, gamma_curve, icc_profile, rgb_profile
from picture_files import chunk, encoded, photo, png, read_quietly, refused, same_pixels
from PIL import Image, ImageCms

from invert.errors import ImageWarning
from invert.images.image_files import ReadOptions
from invert.images.images import read_image

RAMP = np.tile(np.arange(256, dtype=np.uint8), (20, 1))  # every level once a row


def srgb_levels(linear: np.ndarray) -> np.ndarray:
    """8-bit sRGB of linear light [IEC 61966-2-1]."""
    return 255 * np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )


def apart(a, b) -> float:
    """Largest difference in levels."""
    return float(np.abs(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)).max())


# ICC profiles


def test_colours_are_converted_by_the_embedded_profile(tmp_path: Path) -> None:
    linear = Image.fromarray(np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], axis=-1))
    linear.save(tmp_path / "a.png", icc_profile=rgb_profile(SRGB_COLUMNS, gamma=1.0))
    assert apart(read_quietly(tmp_path / "a.png"), srgb_levels(np.asarray(linear) / 255)) <= 2


def test_exchanged_primaries_are_exchanged_back(tmp_path: Path) -> None:
    picture = photo()
    Image.fromarray(np.asarray(picture)[..., [1, 0, 2]]).save(
        tmp_path / "a.png", icc_profile=rgb_profile([SRGB_COLUMNS[k] for k in (1, 0, 2)], gamma=2.2)
    )
    picture.save(tmp_path / "b.png", icc_profile=rgb_profile(SRGB_COLUMNS, gamma=2.2))
    assert apart(read_quietly(tmp_path / "a.png"), read_quietly(tmp_path / "b.png")) <= 1


def test_grey_profile_is_applied(tmp_path: Path) -> None:
    profile = icc_profile(b"GRAY", {b"kTRC": gamma_curve(1.0)})
    Image.fromarray(RAMP).save(tmp_path / "a.png", icc_profile=profile)
    assert apart(read_quietly(tmp_path / "a.png")[0, :, 1], srgb_levels(RAMP[0] / 255)) <= 2


@pytest.mark.parametrize("grey", [False, True])
def test_srgb_profile_leaves_every_pixel_as_it_is(tmp_path: Path, grey: bool) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.fromarray(RAMP) if grey else photo()
    picture.save(tmp_path / "a.png", icc_profile=profile)
    assert same_pixels(read_quietly(tmp_path / "a.png"), picture.convert("RGB"))


@pytest.mark.parametrize(
    "profile",
    [
        b"no profile at all",
        rgb_profile(SRGB_COLUMNS, 2.2)[:200],
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    ],
    ids=["text", "truncated", "of another colour space"],
)
def test_useless_profile_is_ignored_with_a_warning(tmp_path: Path, profile: bytes) -> None:
    photo().save(tmp_path / "a.png", icc_profile=profile)
    with pytest.warns(ImageWarning, match=r"a\.png: broken ICC profile"):
        assert same_pixels(read_image(tmp_path / "a.png"), photo())


def test_profile_that_cannot_be_decompressed_is_ignored_with_a_warning(tmp_path: Path) -> None:
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + b"\x80" * 60) * 20))
    (tmp_path / "a.png").write_bytes(png(20, 20, chunk(b"iCCP", b"icc\0\0garbage"), pixels))
    with pytest.warns(ImageWarning, match="broken ICC profile"):
        assert np.all(np.asarray(read_image(tmp_path / "a.png")) == 128)


# CMYK and LAB


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_converted_with_a_warning(tmp_path: Path, kind: str) -> None:
    inks = [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255), (0, 0, 0, 100)]
    expected = [(255, 255, 255), (0, 255, 255), (255, 0, 0), (0, 0, 0), (155, 155, 155)]
    for ink, colour in zip(inks, expected, strict=True):
        (tmp_path / "a").write_bytes(encoded(Image.new("CMYK", (32, 32), ink), kind))
        with pytest.warns(ImageWarning, match="CMYK"):
            assert apart(read_image(tmp_path / "a"), np.full((32, 32, 3), colour)) <= 2


def to_lab(picture: Image.Image) -> Image.Image:
    spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(picture, *spaces, outputMode="LAB")
    assert lab is not None
    lab.info.clear()  # it would be saved with the LAB profile
    return lab


def test_lab_is_converted_with_a_warning(tmp_path: Path) -> None:
    picture = Image.effect_noise((32, 32), 60).convert("RGB")
    lab = to_lab(picture)
    lab.save(tmp_path / "a.tif")
    with pytest.warns(ImageWarning, match="LAB"):
        assert apart(read_image(tmp_path / "a.tif"), picture) <= 3


def test_lab_with_its_own_profile_needs_no_other_result(tmp_path: Path) -> None:
    lab, profile = (
        to_lab(photo()),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    )
    lab.save(tmp_path / "a.tif")
    lab.save(tmp_path / "b.tif", icc_profile=profile)
    with pytest.warns(ImageWarning, match="LAB"):
        plain = read_image(tmp_path / "a.tif")
    with pytest.warns(
        ImageWarning, match="LAB colours are converted to sRGB by the embedded profile"
    ):
        assert apart(read_image(tmp_path / "b.tif"), plain) <= 1


# Depth


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, kind: str) -> None:
    levels = np.linspace(0, 65535, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    (tmp_path / "a").write_bytes(encoded(Image.fromarray(levels), kind))
    assert same_pixels(read_quietly(tmp_path / "a")[..., 0], np.floor(levels / 257 + 0.5))


def test_16_bit_colour_is_scaled_to_within_one_level(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (20, 30, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    (tmp_path / "a.png").write_bytes(png(30, 20, chunk(b"IDAT", zlib.compress(rows)), depth=16))
    assert apart(read_quietly(tmp_path / "a.png"), levels.astype(float) / 257) <= 1


def test_big_endian_16_bit_tiff_equals_the_little_endian_one(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (20, 30)).astype(np.uint16)
    (tmp_path / "a.tif").write_bytes(encoded(Image.fromarray(levels), "TIFF"))
    (tmp_path / "b.tif").write_bytes(
        encoded(Image.frombytes("I;16B", (30, 20), levels.astype(">u2").tobytes()), "TIFF")
    )
    assert same_pixels(read_quietly(tmp_path / "a.tif"), read_quietly(tmp_path / "b.tif"))


def test_float_values_are_scaled_and_other_ranges_kept_whole_with_a_warning(tmp_path: Path) -> None:
    unit = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    expected = np.floor(unit * 255 + 0.5)
    Image.fromarray(unit).save(tmp_path / "unit.tif")
    assert same_pixels(read_quietly(tmp_path / "unit.tif")[..., 0], expected)
    for name, values in [("bright", unit * 60_000), ("signed", unit * 2 - 1)]:
        Image.fromarray(values.astype(np.float32)).save(tmp_path / f"{name}.tif")
        with pytest.warns(ImageWarning, match="are scaled to black…white"):
            assert apart(np.asarray(read_image(tmp_path / f"{name}.tif"))[..., 0], expected) <= 1


def test_values_without_a_picture_are_refused(tmp_path: Path) -> None:
    values = np.ones((20, 20), dtype=np.float32)
    for hole in (np.nan, np.inf):
        values[3, 3] = hole
        Image.fromarray(values).save(tmp_path / "a.tif")
        assert "NaN or infinite" in refused(tmp_path / "a.tif")
    for value in (-1, 70_000):
        Image.fromarray(np.full((20, 20), value, dtype=np.int32)).save(tmp_path / "a.tif")
        assert "expected 0…65535" in refused(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16", "F"])
@pytest.mark.parametrize("level", [0, 1])
def test_constant_picture_stays_constant(tmp_path: Path, mode: str, level: int) -> None:
    white = {"1": 1, "RGB": 0xFFFFFF, "I;16": 65535, "F": 1.0}.get(mode, 255)
    picture = Image.new(mode, (20, 20), white * level)
    if mode == "P":
        picture.putpalette([v for v in range(256) for _ in range(3)])
    picture.save(tmp_path / "a.tif")
    assert np.all(read_quietly(tmp_path / "a.tif") == 255 * level)


def test_one_bit_and_palette_pictures_keep_their_colours(tmp_path: Path) -> None:
    bits = Image.fromarray(np.random.default_rng(0).random((20, 20)) > 0.5)
    bits.save(tmp_path / "bits.png")
    assert same_pixels(read_quietly(tmp_path / "bits.png"), bits.convert("RGB"))
    palette = photo().quantize(16)
    palette.save(tmp_path / "palette.png")
    assert same_pixels(read_quietly(tmp_path / "palette.png"), palette.convert("RGB"))


# Transparency


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_over_the_background(tmp_path: Path, mode: str) -> None:
    black = Image.new(mode, (20, 20), 0)
    black.putalpha(Image.fromarray(np.full((20, 20), 51, dtype=np.uint8)))
    black.save(tmp_path / "a.png")
    with pytest.warns(ImageWarning, match="transparent parts are shown on white; .*--background"):
        assert np.all(np.asarray(read_image(tmp_path / "a.png")) == 204)
    with pytest.warns(ImageWarning, match="#ff0000"):
        on_red = read_image(tmp_path / "a.png", ReadOptions(background="#ff0000"))
    assert on_red.getpixel((0, 0)) == (204, 0, 0)


def keyed(mode: str) -> tuple[Image.Image, int | tuple[int, int, int]]:
    if mode == "P":
        picture = Image.new("P", (20, 20), 1)
        picture.putpalette([255, 0, 0, 0, 0, 255])
        picture.paste(0, (0, 0, 10, 20))
        return picture, 0
    colour = (255, 0, 0) if mode == "RGB" else 50
    picture = Image.new(mode, (20, 20), colour)
    picture.paste((0, 0, 255) if mode == "RGB" else 0, (10, 0, 20, 20))
    return picture, colour


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "I;16"])
def test_transparent_colour_shows_the_background(tmp_path: Path, mode: str) -> None:
    picture, key = keyed(mode)
    picture.save(tmp_path / "a.png", transparency=key)
    with pytest.warns(ImageWarning, match="transparent"):
        result = np.asarray(read_image(tmp_path / "a.png", ReadOptions(background="lime")))
    assert np.all(result[:, :10] == (0, 255, 0))
    assert np.all(result[:, 10:, 1] == 0)


def test_opaque_alpha_changes_nothing_and_needs_no_warning(tmp_path: Path) -> None:
    photo().convert("RGBA").save(tmp_path / "a.png")
    assert same_pixels(read_quietly(tmp_path / "a.png"), photo())


def test_fully_transparent_picture_is_refused(tmp_path: Path) -> None:
    picture = photo().convert("RGBA")
    picture.putalpha(0)
    picture.save(tmp_path / "a.png")
    assert "fully transparent" in refused(tmp_path / "a.png")


# EXIF


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_all_orientations_come_out_upright_and_without_the_tag(tmp_path: Path, kind: str) -> None:
    # 64×96, flat blocks survive JPEG
    upright = np.repeat(np.repeat(np.asarray(photo(6, 4)), 16, 0), 16, 1)
    stored = {  # rows, columns of the file, from the EXIF 2.32 table of the tag
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }
    exact: dict[str, dict[str, object]] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    for orientation, pixels in stored.items():
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        (tmp_path / "a").write_bytes(
            encoded(picture, kind, exif=exif(orientation), **exact.get(kind, {}))
        )
        result = read_image(tmp_path / "a")
        assert apart(result, upright) <= (4 if kind == "JPEG" else 0), orientation
        assert not result.getexif()
        assert not result.info


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\xff\xff\xff\xff\0\6",
    ],
)
def test_broken_exif_is_ignored_with_a_warning(tmp_path: Path, block: bytes) -> None:
    content = encoded(photo(), "JPEG", exif=block)
    (tmp_path / "a.jpg").write_bytes(content)
    (tmp_path / "b.jpg").write_bytes(encoded(photo(), "JPEG"))
    with pytest.warns(ImageWarning, match=r"a\.jpg: .*EXIF"):
        assert same_pixels(read_image(tmp_path / "a.jpg"), read_quietly(tmp_path / "b.jpg"))


def test_meaningless_orientation_is_ignored(tmp_path: Path) -> None:
    for value in (0, 9, 60000):
        photo().save(tmp_path / "a.png", exif=exif(value))
        assert same_pixels(read_quietly(tmp_path / "a.png"), photo())
