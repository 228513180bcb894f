"""Small 8-bit pictures of points of W or W+, for nets and for the eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw

from invert.images.images import area_downscale, to_pil

if TYPE_CHECKING:
    from torch import Tensor

    from invert.generator import Generator

SIDE = 256  # of the pictures that the nets see


def ffhq_generator() -> Generator:
    """The bundled generator, on one core: these tools run for minutes beside other work."""
    from invert import keep_large_blocks, load_generator

    keep_large_blocks()
    torch.set_num_threads(1)
    return load_generator("ffhq-mobile")


def render_faces(generator: Generator, ws: Tensor, side: int = SIDE) -> np.ndarray:
    """Pictures [N, side, side, 3], uint8, of ws [N, w_dim] or [N, num_ws, w_dim]."""
    pictures = []
    for k in range(len(ws)):
        image = generator.render(generator.latent(ws[k : k + 1]))
        pictures.append(np.asarray(to_pil(area_downscale(image, side))[0]))
    return np.stack(pictures)


def contact_sheet(pictures: np.ndarray, captions: Sequence[str], columns: int, path: Path) -> None:
    """Write pictures [N, side, side, 3] in rows, each with its caption, as one image file."""
    side = pictures.shape[1]
    sheet = Image.new("RGB", (columns * side, -(-len(pictures) // columns) * side))
    draw = ImageDraw.Draw(sheet)
    for k, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = k % columns * side, k // columns * side
        sheet.paste(Image.fromarray(picture), (x, y))
        draw.rectangle((x, y, x + draw.textlength(caption) + 4, y + 12), fill="black")
        draw.text((x + 2, y), caption, fill="yellow")
    sheet.save(path)
