"""What an encoder is worth on generated faces that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import torch
from torch import Tensor

from invert import interrupts
from invert.encoders.encoder import Encoder
from invert.encoders.image_terms import ImageTerms
from invert.encoders.rendering import Renderer
from invert.encoders.samples import Points, Samples
from invert.encoders.spread import Spread
from invert.hardware.precision import full_precision
from invert.metrics.perceptual import PerceptualDistance

CHUNK = 8  # images that an encoder sees at once


class HeldOut:
    """`count` faces of `samples`, in full precision. They are rendered once, when first needed.

    spread     of the parts: the unit of the shares missed
    distances  between what an encoder sees and the images of its encodings
    rendered   how many encodings are rendered and compared, with constant noise: as
               `invert project --steps 0` shows them
    """

    def __init__(
        self,
        samples: Samples,
        spread: Spread,
        side: int,
        count: int,
        rendered: int,
        distances: Iterable[PerceptualDistance],
    ) -> None:
        self.samples, self.spread, self.count, self.rendered = samples, spread, count, rendered
        self.renderer = Renderer(samples.generator, samples.layer, side)
        self.terms = ImageTerms(distances)

    @cached_property
    def points(self) -> Points:
        """The faces: batch 0 of the samples."""
        return self.samples.points(0, self.count)

    @cached_property
    def images(self) -> Tensor:
        """[count, 3, h, w] in [−1, 1]."""
        with full_precision():
            return self.renderer.without_gradients(*self.points)

    def measure(self, encoder: Encoder) -> dict[str, float]:
        """Name → mean: shares of variance missed, then distances of the images."""
        sums: dict[str, float] = {}
        for start in range(0, self.count, CHUNK):
            interrupts.check()
            rows = slice(start, min(start + CHUNK, self.count))
            seen = slice(start, min(rows.stop, self.rendered))

            with torch.no_grad(), full_precision():
                # What of the points is missed.
                encoding = encoder.refined(self.samples.generator, self.images[rows])
                shares = self.spread.missed(encoding, self.points.encoding.rows(rows))
                add(sums, shares, (rows.stop - start) / self.count)

                # Images of the first encodings.
                if seen.stop > start:
                    part = encoding.rows(slice(0, seen.stop - start))
                    images = self.renderer.without_gradients(part, self.renderer.constant_noise)
                    distances = self.terms(images, self.images[seen])
                    add(sums, distances, (seen.stop - start) / self.rendered)
        return sums


def add(sums: dict[str, float], values: Mapping[str, Tensor], weight: float) -> None:
    """Add weighted values to sums of the same names."""
    for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + weight * value.item()
