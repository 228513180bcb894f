"""Images of many encodings in one pass, at the size at which an encoder sees images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from invert.encoders.encoding import Encoding
from invert.generator import Generator
from invert.images.images import area_downscale

CHUNK = 16  # images without gradients that are made at once


class Renderer:
    """Renders encodings of a generator's layer.

    side      of the images of a training-size generator of squares; others are scaled as one would
              be
    previews  by the layers up to that size where the network has such previews, which are near to
              the whole image downscaled and cost a fraction
    """

    def __init__(
        self, generator: Generator, layer: int, side: int, *, previews: bool = False
    ) -> None:
        self.generator, self.layer = generator, layer
        scale = side / generator.network.nominal_resolution
        self.size = round(generator.image_size[0] * scale), round(generator.image_size[1] * scale)
        stop = generator.network.preview_stops.get(max(self.size), 0)
        self.stop = stop if previews and stop >= layer else None  # the layer where a preview stops

    @property
    def constant_noise(self) -> list[Tensor]:
        """The maps [1, 1, h, w] that the layers from i on were saved with."""
        network = self.generator.network
        return [network.noise_const(i) for i in range(self.layer, network.num_ws)]

    def __call__(self, encoding: Encoding, noise: Sequence[Tensor]) -> Tensor:
        """float32 images [N, 3, h, w], about [−1, 1]. Gradients flow to the encoding."""
        generator, i = self.generator, self.layer
        like = generator.network.start()
        features, rgb, styles = encoding.to(like)
        maps = [t.to(like) for t in noise]
        mixed = generator.autocast
        with torch.autocast(generator.device.type, mixed, enabled=mixed is not None):
            image = self._image(features, rgb, styles[:, i - 1 :].unbind(1), [*maps, None])
        return area_downscale(image, self.size).float()

    def _image(
        self,
        features: Tensor,
        rgb: Tensor | None,
        styles: Sequence[Tensor],
        noise: Sequence[Tensor | None],
    ) -> Tensor:
        """The whole image, or its preview."""
        network, i, stop = self.generator.network, self.layer, self.stop
        if stop is None:
            return network.synthesize(features, rgb, styles, noise, i)
        x, rgb = network.run(features, rgb, styles, noise, i, stop)
        later = stop - i
        return network.preview(x, rgb, styles[later:], noise[later:], max(self.size))

    def without_gradients(self, encoding: Encoding, noise: Sequence[Tensor]) -> Tensor:
        """The same images in [−1, 1], a few at a time."""
        images = []
        for start in range(0, len(encoding.styles), CHUNK):
            part = slice(start, start + CHUNK)
            maps = [t if len(t) == 1 else t[part] for t in noise]
            with torch.no_grad():
                images.append(self(encoding.rows(part), maps).clamp(-1, 1))
        return torch.cat(images)
