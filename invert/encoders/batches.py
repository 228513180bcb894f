"""What an encoder sees in an update, and what it should find."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from invert.encoders.encoding import Encoding
from invert.encoders.rendering import Renderer
from invert.encoders.samples import Samples
from invert.encoders.settings import EncoderSettings
from invert.encoders.warps import warped
from invert.encoders.white_noise import white_noise


class Batch(NamedTuple):
    """M warped images, of which no point is known, then N samples.

    images   [M + N, 3, h, w]: what the encoder sees
    points   of the last N
    targets  [M + K, 3, h, w]: what the encodings of the first M + K should look like
    noise    maps [M + K, 1, h, w] of the layers from i on, to render those with
    """

    images: Tensor
    points: Encoding
    targets: Tensor
    noise: list[Tensor]

    @property
    def warped(self) -> int:
        """M."""
        return len(self.images) - len(self.points.styles)


class Batches:
    """Batch k, for update k, is a function of the settings and k alone, whatever the device."""

    def __init__(self, samples: Samples, renderer: Renderer, settings: EncoderSettings) -> None:
        self.samples, self.renderer, self.settings = samples, renderer, settings

    def __getitem__(self, k: int) -> Batch:
        """Everything on the generator's device."""
        s = self.settings
        renders, m, compared = s.has_image_terms(k), s.unknown, s.compared

        # Samples. A rendering of one has its own noise, so that the point itself would have no
        # loss.
        random = self.samples.random(k)
        points, noise = self.samples.draw(s.batch, random)
        images = self.renderer.without_gradients(points, noise)

        # Warped images are made from the last ones; the first ones are compared as they are.
        seen = images + s.input_noise * white_noise(s.batch, 3, self.renderer.size, random, images)
        if not renders:
            return Batch(seen, points, images[:0], [t[:0] for t in noise])
        unknown = warped(images[s.batch - m :], random) if m else images[:0]
        late = self.samples.noise(m, random)
        return Batch(
            torch.cat([unknown, seen]),
            points,
            torch.cat([unknown, images[:compared]]),
            [torch.cat([a, b[:compared]]) for a, b in zip(late, noise, strict=True)],
        )
