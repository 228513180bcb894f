"""Animations as bytes: GIF and WebP by Pillow, MP4 by PyAV where it is installed."""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image, features

from invert.errors import UsageError
from invert.files.file_kinds import shown
from invert.files.provenance import EXIF_DESCRIPTION

SUFFIXES = (".gif", ".webp", ".mp4")
MAX_FPS = 50  # viewers slow faster GIFs down tenfold
# x264's constant rate factor: 0 is lossless, 23 its default, 18 about the least that is seen
MP4_QUALITY = 16


def check_animation(path: str | os.PathLike[str], fps: float) -> str:
    """The suffix of an animation that can be written here, else :class:`UsageError`."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{shown(path)}: expected a name that ends in .gif, .webp or .mp4")
    if not 0 < fps <= MAX_FPS:
        raise UsageError(f"fps is {fps}, expected more than 0 and at most {MAX_FPS}")

    if suffix == ".webp" and not features.check("webp"):
        raise UsageError(f"{shown(path)}: this Pillow cannot write WebP; use .gif")
    if suffix == ".mp4" and importlib.util.find_spec("av") is None:
        raise UsageError(
            f"{shown(path)}: MP4 needs PyAV; pip install 'invert[video]', or use .webp"
        )
    return suffix


def pillow_animation(
    pictures: Sequence[Image.Image], suffix: str, fps: float, comment: str | None = None
) -> bytes:
    """An endless GIF or WebP; frame times add up exactly (GIF counts in 10 ms).

    The comment of a WebP is in its EXIF data.
    """
    metadata: dict[str, Any] = {}
    if comment is not None and suffix == ".gif":
        metadata["comment"] = comment.encode()
    elif comment is not None:
        metadata["exif"] = Image.Exif()
        metadata["exif"][EXIF_DESCRIPTION] = comment

    # Durations are differences of rounded times, so that rounding errors do not add up.
    unit = 10 if suffix == ".gif" else 1  # ms
    ends = [round(1000 * k / fps / unit) * unit for k in range(len(pictures) + 1)]
    durations = [end - start for start, end in pairwise(ends)]

    encoded = io.BytesIO()
    pictures[0].save(
        encoded,
        format=suffix[1:].upper(),
        save_all=True,
        append_images=pictures[1:],
        duration=durations,
        loop=0,
        **metadata,
    )
    return encoded.getvalue()


def mp4_animation(pictures: Sequence[Image.Image], fps: float, comment: str | None = None) -> bytes:
    """H.264 with 4:2:0 chroma, which every player shows; an odd last row or column is left out.

    The colours are BT.709 and the file says so: otherwise players guess BT.601 or BT.709 by the
    size.
    """
    import av
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    width, height = (side // 2 * 2 for side in pictures[0].size)

    encoded = io.BytesIO()
    with av.open(encoded, "w", format="mp4") as container:
        if comment is not None:
            container.metadata["comment"] = comment

        stream = container.add_stream("libx264", Fraction(fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(MP4_QUALITY)}
        context = stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709

        for picture in pictures:
            frame = av.VideoFrame.from_image(picture.crop((0, 0, width, height)))
            frame = frame.reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
            )  # fmt: skip
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return encoded.getvalue()
