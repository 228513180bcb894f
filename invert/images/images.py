"""Pictures: files, crops and tensors. The only place where pixel ranges change.

Everywhere else images are float32 RGB [N, 3, H, W] in [−1, 1]; here they are also 8-bit sRGB
`PIL.Image.Image`. As in Pillow and torch, sizes of pictures are (width, height), sizes of tensors
(height, width).
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from invert.errors import UsageError
from invert.files.atomic_files import write_atomically
from invert.files.file_kinds import FileKind, shown
from invert.files.provenance import KEY, Record, as_text
from invert.images.animation_files import check_animation, mp4_animation, pillow_animation
from invert.images.image_colour import to_srgb
from invert.images.image_files import (
    DEFAULTS,
    ReadOptions,
    as_image_errors,
    load_frame,
    load_picture,
    picture_name,
)
from invert.images.mask_files import read_mask
from invert.recognition import expecting

__all__ = [
    "ReadOptions",
    "area_downscale",
    "convert_picture",
    "encode_animation",
    "encode_png",
    "from_levels",
    "read_image",
    "read_mask",
    "to_levels",
    "to_pil",
    "to_tensor",
    "write_animation",
    "write_png",
]


def read_image(path: str | os.PathLike[str], options: ReadOptions = DEFAULTS) -> Image.Image:
    """The picture in `path` as 8-bit sRGB, upright, opaque and without metadata.

    EXIF orientation is applied, ICC colours are converted, alpha lies on `options.background`,
    16-bit and float values are scaled. Raises :class:`ImageError` (`PATH: WHAT; HINT`); warns with
    :class:`ImageWarning` about everything in the file that the result does not show.
    """
    with expecting(FileKind.PICTURE, path), as_image_errors(path):
        return to_srgb(shown(path), load_frame(path, options), options.background)


def convert_picture(picture: Image.Image, options: ReadOptions = DEFAULTS) -> Image.Image:
    """A picture of any mode, opened by Pillow or made in memory, as :func:`read_image` gives it.

    Its present frame is taken, and `picture` stays as it is but for being loaded. Raises and warns
    as :func:`read_image`; :class:`UsageError` for `options.frame`, which is for files.
    """
    if options.frame is not None:
        raise UsageError("frame chooses one of a file's; call seek(frame) of a picture at hand")
    name = picture_name(picture)
    with as_image_errors(name):
        return to_srgb(name, load_picture(name, picture, options), options.background)


def to_tensor(images: Image.Image | Sequence[Image.Image]) -> Tensor:
    """float32 [N, 3, H, W] in [−1, 1] from 8-bit RGB pictures of one size: x / 127.5 − 1.

    Raises :class:`UsageError` for other modes, mixed sizes or no picture at all.
    """
    pictures = [images] if isinstance(images, Image.Image) else list(images)

    kinds = sorted({(picture.mode, *picture.size) for picture in pictures})
    if len(kinds) != 1 or kinds[0][0] != "RGB":
        came = ", ".join(f"{mode} {width}×{height}" for mode, width, height in kinds) or "none"
        raise UsageError(
            f"expected RGB pictures of one size, got {came}; read_image and crop_to make them"
        )

    stacked = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))
    return from_levels(stacked.permute(0, 3, 1, 2)).contiguous()


def to_pil(tensor: Tensor) -> list[Image.Image]:
    """N 8-bit RGB pictures from [N, 3, H, W] in [−1, 1]: (x + 1) · 127.5, rounded half up.

    Values outside are clamped. The exact inverse of :func:`to_tensor`. Raises :class:`UsageError`
    for another shape, and for NaN.
    """
    if tensor.ndim != 4 or tensor.shape[1] != 3:
        raise UsageError(f"expected an image tensor [N, 3, H, W], got {list(tensor.shape)}")

    x = tensor.detach().to("cpu", torch.float32)
    if bool(x.isnan().any()):
        raise UsageError(
            "an image tensor holds NaN and has no picture; look for the step that diverged"
        )

    levels = to_levels(x).permute(0, 2, 3, 1).contiguous()
    return [Image.fromarray(pixels) for pixels in levels.numpy()]


def to_levels(images: Tensor) -> Tensor:
    """uint8 of the shape and on the device of images in [−1, 1], rounded half up and clamped."""
    x = images.detach().to(torch.float32)
    return x.add(1).mul(127.5).add(0.5).floor().clamp(0, 255).to(torch.uint8)


def from_levels(levels: Tensor) -> Tensor:
    """float32 in [−1, 1] from the 256 levels of files: x / 127.5 − 1."""
    return levels.to(torch.float32).div(127.5).sub(1)


def to_picture(image: Image.Image | Tensor) -> Image.Image:
    """One picture as it is, or from [3, H, W] or [1, 3, H, W] in [−1, 1]."""
    if isinstance(image, Image.Image):
        return image
    batch = image[None] if image.ndim == 3 else image
    if batch.shape[0] != 1:
        raise UsageError(f"expected one image, got a batch {list(image.shape)}; index it first")
    return to_pil(batch)[0]


def write_png(
    image: Image.Image | Tensor, path: str | os.PathLike[str], record: Record | None = None
) -> None:
    """Write one picture to a `.png`, atomically: equal pixels and records give equal bytes.

    There is no metadata in it but a `record` of what it was made from
    (:mod:`invert.files.provenance`). Raises :class:`InvertError` naming the path when the disk or
    the folder refuses.
    """
    check_suffix(path, ".png")
    data = encode_png(image, record)
    write_atomically(Path(path), lambda f: f.write(data))


def encode_png(image: Image.Image | Tensor, record: Record | None = None) -> bytes:
    """One picture as the bytes of a PNG, with its record, if any, in the text chunk `invert`.

    zlib looks for runs of equal bytes alone. Filtered photographs repeat little else: the files are
    as small as with zlib's default, in a fifth of its time.
    """
    bare = to_picture(image).copy()
    bare.info.clear()  # Pillow would write the profile and the resolution found there
    chunks = PngInfo()
    if record is not None:
        chunks.add_text(KEY, as_text(record))
    encoded = io.BytesIO()  # in memory first: Pillow hides why writing to a file failed
    bare.save(encoded, format="PNG", pnginfo=chunks, compress_type=zlib.Z_RLE)
    return encoded.getvalue()


def write_animation(
    frames: Tensor | Iterable[Image.Image],
    path: str | os.PathLike[str],
    fps: float = 20.0,
    record: Record | None = None,
) -> None:
    """Write a `.gif` or `.webp`, which play endlessly, or an `.mp4`, atomically, with its record.

    Raises :class:`UsageError` for no frames, mixed sizes, and what
    `animation_files.check_animation` refuses.
    """
    data = encode_animation(frames, path, fps, record)
    write_atomically(Path(path), lambda f: f.write(data))


def encode_animation(
    frames: Tensor | Iterable[Image.Image],
    path: str | os.PathLike[str],
    fps: float,
    record: Record | None = None,
) -> bytes:
    """The bytes of an animation whose format is the suffix of `path`.

    Raises as :func:`write_animation` does.
    """
    suffix = check_animation(path, fps)
    pictures = to_pil(frames) if isinstance(frames, Tensor) else list(frames)
    sizes = sorted({picture.size for picture in pictures})
    if len(sizes) != 1:
        raise UsageError(f"{shown(path)}: expected frames of one size, got {sizes or 'no frames'}")

    comment = None if record is None else as_text(record)
    if suffix == ".mp4":
        return mp4_animation(pictures, fps, comment)
    return pillow_animation(pictures, suffix, fps, comment)


def check_suffix(path: str | os.PathLike[str], *allowed: str) -> str:
    """The suffix of a path, in lower case. Raises :class:`UsageError` unless it is allowed."""
    suffix = Path(path).suffix.lower()
    if suffix not in allowed:
        raise UsageError(f"{shown(path)}: expected a name that ends in {' or '.join(allowed)}")
    return suffix


def area_downscale(images: Tensor, size: int | tuple[int, int]) -> Tensor:
    """[N, 3, h, w] by box filter; a side that is not longer than `size` keeps its length.

    `size` is (height, width), or the shorter side, with the longer one in proportion.
    """
    height, width = images.shape[-2:]
    if isinstance(size, int):
        scale = min(1.0, size / min(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))

    h, w = min(size[0], height), min(size[1], width)
    if (h, w) == (height, width):
        return images

    # Whole factors: the same averages with a backward pass that is deterministic on every device.
    if height % h == 0 and width % w == 0:
        return F.avg_pool2d(images, (height // h, width // w))
    return F.interpolate(images, (h, w), mode="area")
