"""Generated images with the points they were made from: endless labelled data."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from invert.encoders.encoder import Encoding
from invert.errors import UsageError
from invert.files.atomic_files import write_atomically
from invert.files.regular_files import read_regular
from invert.generator import Generator
from invert.images.images import area_downscale, to_pil, to_tensor
from invert.latents.latent import Latent
from invert.latents.spaces import Space

# different sets of samples; torch's CPU generator reads 32 bits of a seed, so k may reach 4 million
SEEDS = 1024

MAX_IMAGE_BYTES = 16 << 20


@dataclass(frozen=True)
class Samples:
    """Sample k is a point of FNW_i with its image, and depends on (seed, k) alone; 0 ≤ seed < 1024.

    layer    i
    moved    share of points whose maps were moved, what comes in mirrored: faces are not always
             where training had them
    reach    cells of the coarsest map by which one is moved at most, as a share of its side
    mixing   share of points whose later styles come from a second w, from a random layer on ([K]'s
             style mixing)
    psi      range of the truncation, drawn evenly per point
    side     of the images in pixels; where they are no squares, they are scaled as one would be
    half     rendered in bfloat16, which JPEG hides
    folder   where images are kept as JPEG files, so that each is rendered once; None renders every
             time
    """

    generator: Generator
    layer: int
    seed: int = 0
    moved: float = 0.25
    reach: float = 0.2
    mixing: float = 0.5
    psi: tuple[float, float] = (0.7, 1.0)
    side: int = 256
    half: bool = False
    folder: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.seed < SEEDS:
            raise UsageError(f"seed is an integer in [0, {SEEDS}), got {self.seed}")

    @cached_property
    def _painter(self) -> Generator:
        return self.generator.half() if self.half else self.generator

    def point(self, k: int) -> Latent:
        """Point k, in FNW_i, with random noise maps."""
        i = self.layer
        random, encoding = self._encoding(k)
        sizes = self.generator.shapes("NW+").noise[i - 1 :]
        noise = tuple(
            torch.randn(1, 1, *size, generator=random).to(encoding.styles) for size in sizes
        )
        return Latent(
            Space("W+", i, noise=True),
            encoding.styles[:, i - 1 :].clone(),
            self.generator.fingerprint,
            features=encoding.features,
            rgb=encoding.rgb,
            noise=noise,
        )

    def image(self, k: int) -> Tensor:
        """Its image [1, 3, H, W] in [−1, 1], with JPEG's losses, so that a kept one equals a new
        one.
        """
        # A kept one.
        path = None if self.folder is None else self.folder / f"{k:07d}.jpg"
        if path is not None and path.exists():
            try:
                return decoded(read_regular(path, MAX_IMAGE_BYTES))
            except (OSError, SyntaxError, ValueError):  # damaged: it can be made again
                pass

        # Rendered, and scaled as an encoder sees it.
        image = self._painter.render(self.point(k)).cpu().float()
        scale = self.side / self.generator.network.nominal_resolution
        height, width = (round(side * scale) for side in self.generator.image_size)
        picture = to_pil(area_downscale(image.clamp(-1, 1), (height, width)))[0]

        # Through JPEG.
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=95, subsampling=0)
        data = buffer.getvalue()
        if path is not None:
            write_atomically(path, lambda file: file.write(data))
        return decoded(data)

    def encodings(self, indices: list[int]) -> Encoding:
        """F_i, R_i and all styles of some points: what an encoder should find in their images."""
        rows = [self._encoding(k)[1] for k in indices]
        rgb = (
            None
            if rows[0].rgb is None
            else torch.cat([row.rgb for row in rows if row.rgb is not None])
        )
        return Encoding(
            torch.cat([row.features for row in rows]), rgb, torch.cat([row.styles for row in rows])
        )

    def _encoding(self, k: int) -> tuple[torch.Generator, Encoding]:
        """Point k as an encoding, and the random state after it, from which its noise from layer i
        on follows.
        """
        random, styles = self._styles(k)
        sizes = self.generator.shapes("NW+").noise[: self.layer - 1]
        noise = [torch.randn(1, 1, *size, generator=random).to(styles) for size in sizes]
        with torch.inference_mode():
            features, rgb = self.generator.early_maps(styles, self.layer, noise)
        x, y = self._shift(random, features, rgb)
        return random, Encoding(
            move(features, x, y), None if rgb is None else move(rgb, x, y), styles
        )

    def _shift(
        self, random: torch.Generator, features: Tensor, rgb: Tensor | None
    ) -> tuple[float, float]:
        """How far to move the maps, as shares of their sides; whole cells of both."""
        draw = torch.rand(3, generator=random)
        sizes = [t.shape[2:] for t in (features, rgb) if t is not None]
        height, width = map(min, zip(*sizes, strict=True))
        cells = round(self.reach * min(height, width))
        if float(draw[0]) >= self.moved or not cells:
            return 0.0, 0.0
        x, y = ((draw[1:] * (2 * cells + 1)).int() - cells).tolist()
        return x / width, y / height

    def _styles(self, k: int) -> tuple[torch.Generator, Tensor]:
        """The random state after the styles [1, num_ws, w_dim] of point k, from which its noise
        follows.
        """
        random = torch.Generator().manual_seed(k * SEEDS + self.seed)
        generator = self.generator
        low, high = self.psi
        psi = low + (high - low) * float(torch.rand((), generator=random))
        mixed = float(torch.rand((), generator=random)) < self.mixing
        crossover = int(torch.randint(1, generator.num_ws, (), generator=random))
        w = generator.random_w(2, random)
        w = generator.w_avg + psi * (w - generator.w_avg)
        styles = w[:1, None].repeat(1, generator.num_ws, 1)
        if mixed:
            styles[:, crossover:] = w[1]
        return random, styles


def decoded(data: bytes) -> Tensor:
    """[1, 3, H, W] in [−1, 1] from the bytes of a JPEG file. Raises what Pillow does for a damaged
    one.
    """
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
        return to_tensor(picture.convert("RGB"))


def move(t: Tensor, x: float, y: float) -> Tensor:
    """A map [N, C, H, W] moved right and down by shares of its sides, its content mirrored into
    what comes in.
    """
    dx, dy = round(x * t.shape[3]), round(y * t.shape[2])
    wide = F.pad(t, (max(dx, 0), max(-dx, 0), max(dy, 0), max(-dy, 0)), mode="reflect")
    height, width = t.shape[2:]
    return wide[:, :, max(-dy, 0) :, max(-dx, 0) :][:, :, :height, :width].clone()
