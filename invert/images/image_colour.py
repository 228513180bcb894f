"""From any mode a Pillow decoder returns to 8-bit sRGB, upright and opaque."""

from __future__ import annotations

import io

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps

from invert.errors import ImageError
from invert.images.image_files import notice, one_line
from invert.images.value_ranges import refuse_label_picture, white_level


def to_srgb(name: str, image: Image.Image, background: str) -> Image.Image:
    """A bare RGB image (no metadata) from a loaded frame; `name` starts every message.

    Raises :class:`ImageError` where no defined conversion exists, and for fully transparent
    pictures.
    """
    # Before anything drops the metadata.
    profile = image.info.get("icc_profile")
    orientation = read_orientation(name, image)

    colour, alpha = split_alpha(name, image)
    rgb = apply_profile(name, colour, profile) if profile else None
    if rgb is None:
        if "icc_profile" in image.info and not profile:
            notice(name, "broken ICC profile; colours are taken as sRGB")
        rgb = without_profile(name, colour)

    if alpha is not None:
        rgb = flatten(name, rgb, alpha, background)
    refuse_label_picture(name, np.asarray(rgb))
    return turn_upright(rgb, orientation)


def read_orientation(name: str, image: Image.Image) -> int:
    """The EXIF orientation 1 … 8; 1 where the EXIF block is absent or broken."""
    try:
        # getexif() below passes broken blocks silently
        Image.Exif().load(image.info.get("exif") or b"")
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception as error:
        notice(name, f"broken EXIF data ({one_line(error)}); the picture is taken as upright")
        return 1
    return value if value in range(1, 9) else 1


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """A copy without metadata, turned as EXIF says.

    The tag is set on a bare image, so that nothing else in the file's EXIF block can make this
    fail.
    """
    bare = Image.new(image.mode, image.size)
    bare.paste(image)
    bare.getexif()[ExifTags.Base.Orientation] = orientation
    upright = ImageOps.exif_transpose(bare)
    upright.info.clear()
    return upright


def split_alpha(name: str, image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colour in mode L, RGB, CMYK or LAB, and alpha in mode L (None: opaque)."""
    # Grey of more than 8 bits; PNG may name one value that is transparent.
    if image.mode.startswith("I;16") and "transparency" in image.info:
        transparent = np.asarray(image) == image.info["transparency"]
        return to_8_bit(name, image), Image.fromarray(
            np.where(transparent, 0, 255).astype(np.uint8)
        )
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return to_8_bit(name, image), None

    if image.has_transparency_data:
        *colour, alpha = image.convert("LA" if image.mode in ("1", "L", "LA") else "RGBA").split()
        return (colour[0] if len(colour) == 1 else Image.merge("RGB", colour)), alpha
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def flatten(name: str, rgb: Image.Image, alpha: Image.Image, background: str) -> Image.Image:
    """The picture on a background; ImageError where all of it is transparent."""
    lowest, highest = alpha.getextrema()
    if lowest == 255:
        return rgb
    if highest == 0:
        raise ImageError(
            f"{name}: fully transparent, there is no picture to see; save it without alpha"
        )
    notice(name, f"transparent parts are shown on {background}; choose another with --background")
    return Image.composite(rgb, Image.new("RGB", rgb.size, background), alpha)


def to_8_bit(name: str, image: Image.Image) -> Image.Image:
    """Mode L from 16-bit or float grey: the whole range becomes 0 … 255, nothing is clipped."""
    stored = np.asarray(image, dtype=np.float32)
    if image.mode != "F" or stored.max() > 1:
        refuse_label_picture(name, stored)
    values, white = grey_values(name, image)
    return Image.fromarray(np.floor(values * (255 / white) + 0.5).astype(np.uint8))


def grey_values(name: str, image: Image.Image) -> tuple[np.ndarray, float]:
    """float32 values [H, W] of a 16-bit, integer or float image with black = 0, and white's value.

    White is 65 535 for integers, or less where fewer bits are used (`value_ranges`). Floats should
    be 0 … 1; other ranges are kept whole, with a warning.
    """
    values = np.asarray(image, dtype=np.float32)
    lowest, highest = float(values.min()), float(values.max())

    # Floats: 0 … 1, or the range that there is.
    if image.mode == "F":
        if not np.isfinite(values).all():
            raise ImageError(
                f"{name}: float image with NaN or infinite values; save it as an 8-bit PNG"
            )
        if lowest < 0 or highest > 1:
            notice(
                name,
                f"float values {lowest:.4g}…{highest:.4g} are scaled to black…white, expected 0…1",
            )
        black = min(0.0, lowest)
        return values - black, max(1.0, highest) - black

    # Integers: 16 bits at most.
    if lowest < 0 or highest > 65535:
        raise ImageError(
            f"{name}: integer values {lowest:.0f}…{highest:.0f}, expected 0…65535; "
            "save it with 8 or 16 bits"
        )
    return values, white_level(name, image, highest)


def without_profile(name: str, colour: Image.Image) -> Image.Image:
    """RGB by the standard rules: grey and RGB are sRGB, LAB is D50, CMYK the complement."""
    if colour.mode == "LAB":
        notice(name, "LAB colours are converted to sRGB")
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(colour, lab, srgb, outputMode="RGB")
        assert converted is not None
        return converted
    if colour.mode == "CMYK":
        notice(name, "CMYK without a colour profile is converted to sRGB by the plain formula")
    return colour.convert("RGB")


def apply_profile(name: str, colour: Image.Image, profile: bytes) -> Image.Image | None:
    """sRGB through the embedded ICC profile; None, with a warning, if the profile is of no use."""
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if colour.mode == "L" and space == "RGB":  # common in grey PNGs
            colour = colour.convert("RGB")
        if (colour.mode, space) not in {
            ("L", "GRAY"),
            ("RGB", "RGB"),
            ("CMYK", "CMYK"),
            ("LAB", "Lab"),
        }:
            raise ValueError(f"{space} profile in a {colour.mode} image")

        # Relative colorimetric with black point compensation, as viewers do. LittleCMS would thin
        # the curve of a grey profile to 33 points: 10 levels off in the shadows.
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        if colour.mode == "L":
            flags |= ImageCms.Flags.NOOPTIMIZE
        intent, srgb = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, srgb, colour.mode, "RGB", intent, flags)
        if colour.mode == "RGB" and is_identity(transform):
            return colour
        converted = ImageCms.applyTransform(colour, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError) as error:
        notice(name, f"broken ICC profile ({one_line(error)}); colours are taken as sRGB")
        return None

    if colour.mode in ("CMYK", "LAB"):
        notice(name, f"{colour.mode} colours are converted to sRGB by the embedded profile")
    return converted


def is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform moves no colour by more than one level: sRGB under any of its many names.

    Such a transform only adds rounding errors, so the pixels are better left as they are.
    """
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    probe = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(probe), transform))
    return bool(np.abs(moved.astype(int) - probe).max() <= 1)
