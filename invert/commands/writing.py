"""Files that commands leave, named on stdout. Where they may go is checked by
:mod:`invert.commands.destinations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from invert.commands.bars import counted
from invert.commands.destinations import Destinations
from invert.commands.terminal import say

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from invert.generator import Generator
    from invert.latents.latent import Latent


def write_edited(generator: Generator, latent: Latent, destinations: Destinations) -> None:
    """Write the picture and the latent, the two files of `with_twin`."""
    write_shown(generator.render(latent), latent, destinations)
    for path in destinations.outputs:
        say(path)


def write_shown(image: Tensor, latent: Latent, destinations: Destinations) -> None:
    """Write an image [1, 3, H, W] and the latent that it shows, together."""
    from invert.images.images import encode_png
    from invert.latents.digests import picture_of
    from invert.latents.latent_files import encode_latent

    picture, path = destinations.outputs
    latent = latent.replace(metadata={**latent.metadata, **destinations.record})
    destinations.write(
        {picture: encode_png(image, picture_of(latent)), path: encode_latent(latent, path)}
    )


def write_picture(
    image: Image.Image | Tensor, destinations: Destinations, shown: Latent | None = None
) -> None:
    """Write one picture: the plain one of the latent `shown`, or another."""
    from invert.images.images import encode_png
    from invert.latents.digests import picture_of

    [path] = destinations.outputs
    data = encode_png(image, destinations.record if shown is None else picture_of(shown))
    destinations.write({path: data})
    say(path)


def write_pictures(
    generator: Generator, latents: Sequence[Latent | None], columns: int, destinations: Destinations
) -> None:
    """Write the pictures of latents, of one size, as rows of one PNG; None leaves a white place."""
    from PIL import Image

    from invert.images.images import to_picture

    height, width = generator.check(next(x for x in latents if x is not None)).image
    sheet = Image.new("RGB", (columns * width, -(-len(latents) // columns) * height), "white")
    for k, latent in enumerate(counted(latents, len(latents), "image")):
        if latent is not None:
            sheet.paste(
                to_picture(generator.render(latent)), (k % columns * width, k // columns * height)
            )
    write_picture(sheet, destinations)
