"""Generated images with the points they were made from: endless labelled data."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from invert.atomic import write_atomically
from invert.encoder import Encoding
from invert.errors import UsageError
from invert.generator import Generator
from invert.images import area_downscale, to_images, to_tensor
from invert.latents import Latent
from invert.spaces import Space

SEEDS = 1024  # different sets of samples; torch's CPU generator reads 32 bits of a seed, so k may reach 4 million


@dataclass(frozen=True)
class Samples:
    """Sample k is a point of NW+ with its image, and depends on (seed, k) alone; 0 ≤ seed < 1024.

    mixing   share of points whose later styles come from a second w, from a random layer on ([K]'s style mixing)
    psi      range of the truncation, drawn evenly per point
    side     of the images in pixels
    folder   where images are kept as JPEG files, so that each is rendered once; None renders every time
    """

    generator: Generator
    seed: int = 0
    mixing: float = 0.5
    psi: tuple[float, float] = (0.7, 1.0)
    side: int = 256
    folder: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.seed < SEEDS:
            raise UsageError(f"seed is an integer in [0, {SEEDS}), got {self.seed}")

    def point(self, k: int) -> Latent:
        """Point k, in NW+, with random noise maps."""
        space = Space("W+", noise=True)
        random, styles = self._styles(k)
        noise = tuple(torch.randn(1, 1, *size, generator=random) for size in self.generator.shapes(space).noise)
        noise = tuple(n.to(styles) for n in noise)
        return self.generator.latent(styles).replace(space=space, noise=noise)

    def image(self, k: int) -> Tensor:
        """Its image [1, 3, side, side] in [−1, 1], with the losses of JPEG, so that a kept one equals a new one."""
        path = None if self.folder is None else self.folder / f"{k:07d}.jpg"
        if path is not None and path.exists():
            data = path.read_bytes()
        else:
            image = self.generator.render(self.point(k)).cpu().float()
            picture = to_images(area_downscale(image.clamp(-1, 1), (self.side, self.side)))[0]
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=95, subsampling=0)
            data = buffer.getvalue()
            if path is not None:
                write_atomically(path, lambda file: file.write(data))
        with Image.open(io.BytesIO(data)) as picture:
            return to_tensor(picture.convert("RGB"))

    def encodings(self, indices: list[int], layer: int) -> Encoding:
        """F_i, R_i and all styles of some points: what an encoder should find in their images."""
        network = self.generator.network
        sizes = self.generator.shapes("NW+").noise[: layer - 1]
        rows, maps = [], []
        for k in indices:
            random, styles = self._styles(k)
            rows.append(styles)
            maps.append([torch.randn(1, 1, *size, generator=random) for size in sizes])
        styles = torch.cat(rows)
        noise = [torch.cat(group).to(styles) for group in zip(*maps, strict=True)]
        with torch.inference_mode():
            start = network.start().expand(len(rows), -1, -1, -1)
            features, rgb = network.run(start, None, styles.unbind(1), noise, 1, layer)
        return Encoding(features.clone(), None if rgb is None else rgb.clone(), styles)

    def _styles(self, k: int) -> tuple[torch.Generator, Tensor]:
        """The random state after the styles [1, num_ws, w_dim] of point k, from which its noise follows."""
        random = torch.Generator().manual_seed(k * SEEDS + self.seed)
        generator = self.generator
        low, high = self.psi
        psi = low + (high - low) * float(torch.rand((), generator=random))
        mixed = float(torch.rand((), generator=random)) < self.mixing
        crossover = int(torch.randint(1, generator.num_ws, (), generator=random))
        z = torch.randn(2, generator.z_dim, generator=random)
        w = generator.mapping(z.to(generator.device, generator.dtype), labels(generator, random))
        w = generator.w_avg + psi * (w - generator.w_avg)
        styles = w[:1, None].repeat(1, generator.num_ws, 1)
        if mixed:
            styles[:, crossover:] = w[1]
        return random, styles


def labels(generator: Generator, random: torch.Generator) -> Tensor | None:
    """Random one-hot labels [2, c_dim] of a conditional generator."""
    if not generator.c_dim:
        return None
    index = torch.randint(generator.c_dim, (2,), generator=random)
    return torch.nn.functional.one_hot(index, generator.c_dim).to(generator.device, generator.dtype)
