"""One decoded Pillow frame from an untrusted image file, or one :class:`ImageError`.

The bytes are read once and with a limit, the content says what kind of file it is, sizes are
checked in the header before anything is decoded, and Pillow's process-wide settings stay as they
are.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageColor, ImageFile, UnidentifiedImageError

from invert.arguments import MAX_PIXELS, check_integer
from invert.errors import ImageError, ImageWarning, UsageError
from invert.files.file_kinds import shown
from invert.files.image_headers import check_headers
from invert.files.image_kinds import FORMATS, PLUGINS, image_kind
from invert.files.regular_files import read_regular

HINTS = {
    errno.EFBIG: "save it smaller",
    errno.EAGAIN: "wait until it is complete",
}
_warning_filters = threading.Lock()  # warnings.catch_warnings swaps state of the whole process


@dataclass(frozen=True)
class ReadOptions:
    """What is accepted as a picture. Raises :class:`UsageError` for values that make no sense."""

    background: str = "white"  # shown through transparent parts; any CSS colour
    max_pixels: int = MAX_PIXELS  # width × height, as the header declares it
    max_bytes: int = 256 * 2**20  # of the file
    min_side: int = 16  # pixels
    max_aspect: float = 16.0  # longer side / shorter side
    frame: int | None = None  # of an animation or a multi-page file; None: the first, and a warning
    allow_truncated: bool = False  # keep what could be decoded of a damaged file; the rest is black

    def __post_init__(self) -> None:
        # Types.
        for name in ("max_pixels", "max_bytes", "min_side"):
            check_integer(name, getattr(self, name), -sys.maxsize, sys.maxsize)
        if not isinstance(self.max_aspect, (int, float)):
            raise UsageError(f"max_aspect is {self.max_aspect!r}, expected a number")
        if self.frame is not None:
            check_integer("frame", self.frame, -sys.maxsize, sys.maxsize)
        if not isinstance(self.allow_truncated, bool):
            raise UsageError(f"allow_truncated is True or False, got {self.allow_truncated!r}")
        if not isinstance(self.background, str):
            raise UsageError(f"background is the name of a colour, got {self.background!r}")

        # Values.
        try:
            ImageColor.getcolor(self.background, "RGB")
        except ValueError:
            raise UsageError(
                f"background {self.background!r} is no colour; expected a name or #rrggbb"
            ) from None
        for name in ("max_pixels", "max_bytes", "min_side", "max_aspect"):
            if not getattr(self, name) >= 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.frame is not None and self.frame < 0:
            raise UsageError(
                f"frame is {self.frame}, expected 0 or more; frames are counted from 0"
            )


DEFAULTS = ReadOptions()


@contextmanager
def as_image_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns warnings of Pillow into :class:`ImageWarning` and exceptions into :class:`ImageError`.

    Each is one line that starts with the path.
    """
    # Exceptions: ours pass, others become ours.
    with _warning_filters, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except (ImageError, MemoryError):
            raise
        except Exception as error:  # decoders raise nearly every type there is on damaged files
            raise ImageError(
                f"{shown(path)}: damaged or truncated image ({one_line(error)}); get the file "
                f"again (--allow-truncated keeps what can be decoded)"
            ) from error

    # Warnings. The one of large images is left out, since max_pixels has judged the size.
    for warning in caught:
        if isinstance(warning.message, ImageWarning):
            warnings.warn(warning.message, stacklevel=4)
        elif not issubclass(warning.category, Image.DecompressionBombWarning):
            warnings.warn(
                f"{shown(path)}: {one_line(warning.message).rstrip('.')}; it was skipped",
                ImageWarning,
                stacklevel=4,
            )


def one_line(message: object) -> str:
    """The text of an exception without line breaks, or the name of its class."""
    return " ".join(str(message).split()) or type(message).__name__


def read_bytes(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """The content of a regular file of 1 … `max_bytes` bytes. Raises :class:`ImageError`."""
    name = shown(path)

    try:
        data = read_regular(path, max_bytes)
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file; check the name") from None
    except IsADirectoryError:
        raise ImageError(f"{name}: is a directory; give an image file") from None
    except PermissionError:
        raise ImageError(f"{name}: permission denied; make the file readable") from None
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise ImageError(
            f"{name}: cannot be read ({reason}); "
            f"{HINTS.get(error.errno or 0, 'give an image file')}"
        ) from None

    if not data:
        raise ImageError(f"{name}: empty file; get it again")
    return data


def load_frame(path: str | os.PathLike[str], options: ReadOptions) -> Image.Image:
    """The decoded frame in the mode and orientation of the file.

    Call inside :func:`as_image_errors`.
    """
    # The header, and all sizes in it.
    name = shown(path)
    data = read_bytes(path, options.max_bytes)
    check_headers(name, data)
    image = open_image(name, data, options)
    if image.format == "PNG" and not options.allow_truncated:
        # Decoding alone skips the checksums of the pixel data.
        Image.open(io.BytesIO(data), formats=["PNG"]).verify()
    check_pixels(name, image.size, options)
    select_frame(name, image, options.frame)
    check_pixels(name, image.size, options)
    check_shape(name, image.size, options)

    # The pixels.
    try:
        image.load()
    except OSError as error:
        if not options.allow_truncated:
            raise
        image.tile = []  # no more to decode: what came before the damage is the picture
        if image.getbbox() is None:
            raise
        notice(name, f"damaged ({one_line(error)}); the part that could not be decoded is black")
    return image


def load_picture(name: str, picture: Image.Image, options: ReadOptions) -> Image.Image:
    """A picture at hand, decoded, if its size is allowed. Call inside :func:`as_image_errors`."""
    check_pixels(name, picture.size, options)
    check_shape(name, picture.size, options)
    picture.load()
    return picture


def picture_name(picture: Image.Image) -> str:
    """What messages call a picture at hand: the file that Pillow opened it from, if any."""
    return shown(getattr(picture, "filename", "") or "the picture")


def open_image(name: str, data: bytes, options: ReadOptions) -> ImageFile.ImageFile:
    """The image with only its header parsed."""
    # Formats that are allowed, with the plugin that this file may need.
    kind = image_kind(data)
    formats = list(FORMATS)
    if kind in PLUGINS:
        formats.append(PLUGINS[kind][0])
        if not has_decoder(kind):
            package = PLUGINS[kind][2]
            raise ImageError(
                f"{name}: {kind} needs a plugin; pip install {package}, "
                "or save the picture as PNG or JPEG"
            )
    Image.init()
    formats = [f for f in formats if f in Image.OPEN]

    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError:  # beyond twice Pillow's own limit, whatever ours is
        raise ImageError(
            f"{name}: too large, more than {(Image.MAX_IMAGE_PIXELS or 0) * 2e-6:.0f} Mpx, limit "
            f"{options.max_pixels / 1e6:.4g} Mpx; make it smaller"
        ) from None

    # Why Pillow cannot open it: another kind of file, no size, or a damaged header.
    except UnidentifiedImageError:
        if kind and kind not in PLUGINS:
            raise ImageError(
                f"{name}: not a raster image (looks like {kind}); give a PNG or JPEG"
            ) from None
        if data.startswith(b"\x89PNG") and b"\0\0\0\0" in (data[16:20], data[20:24]):
            raise ImageError(f"{name}: zero-sized PNG; get the file again") from None
        claims = [f for f in formats if (accept := Image.OPEN[f][1]) and accept(data[:16])]
        if claims:
            raise ImageError(
                f"{name}: {claims[0]} file with a damaged header, or of a variety that Pillow "
                f"cannot decode; save it as an 8-bit PNG"
            ) from None
        raise ImageError(
            f"{name}: not a raster image of a known format; give a PNG or JPEG"
        ) from None


def has_decoder(kind: str) -> bool:
    """Whether Pillow can decode this kind; an installed plugin registers itself first."""
    format_name, module, _ = PLUGINS[kind]
    Image.init()
    if format_name not in Image.OPEN:
        try:
            importlib.import_module(module)
        except ImportError:
            return False
    return format_name in Image.OPEN


def select_frame(name: str, image: Image.Image, frame: int | None) -> None:
    """Seek to a frame; None is the first one, with a notice where there are more."""
    # The further frames of a phone's MPO are previews and gain maps, no pictures of their own.
    count = 1 if image.format == "MPO" and frame is None else getattr(image, "n_frames", 1)
    if frame is None:
        if count > 1:
            notice(name, f"has {count} frames; the first is taken, choose another with --frame")
    elif frame >= count:
        raise ImageError(
            f"{name}: has {count} frame(s), no frame {frame}; give --frame 0…{count - 1}"
        )
    elif frame:
        image.seek(frame)


def check_pixels(name: str, size: tuple[int, int], options: ReadOptions) -> None:
    """Raise :class:`ImageError` for more pixels than allowed."""
    if size[0] * size[1] > options.max_pixels:
        raise ImageError(
            f"{name}: {size[0]}×{size[1]} px is too large, limit "
            f"{options.max_pixels / 1e6:.4g} Mpx; make it smaller or use --max-pixels"
        )


def check_shape(name: str, size: tuple[int, int], options: ReadOptions) -> None:
    """Raise :class:`ImageError` for a picture that is too small or too long."""
    if min(size) < options.min_side:
        raise ImageError(
            f"{name}: {size[0]}×{size[1]} px is too small, at least {options.min_side} px a side "
            f"are needed; use a larger copy"
        )
    if max(size) > options.max_aspect * min(size):
        raise ImageError(
            f"{name}: {size[0]}×{size[1]} px is more than {options.max_aspect:g} times as long "
            "as wide; crop it first"
        )


def notice(name: str, what: str) -> None:
    """An :class:`ImageWarning` that starts with the name."""
    warnings.warn(f"{name}: {what}", ImageWarning, stacklevel=2)
