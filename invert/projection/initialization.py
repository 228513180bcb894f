"""Where an optimization starts: at the mean w, or at what an encoder sees."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from invert.encoders.encoder import Encoder, EncoderShape
from invert.encoders.encoder_files import bundled_encoder, load_encoder
from invert.errors import UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.projection.companion import can_have_companion

InitName = Literal["encoder", "two-stage", "mean"]
INIT_NAMES: tuple[InitName, ...] = get_args(InitName)


def possible_inits(generator: Generator, image: Tensor, space: Space) -> list[InitName]:
    """The starts that an image and a space allow, the default one first."""
    training_size = tuple(image.shape[2:]) == generator.image_size
    encoder = find_encoder(generator, image, space) is not None
    if space.layer is None:
        return ["mean", "encoder"] if encoder else ["mean"]
    names: list[InitName] = ["encoder"] if encoder else []
    return [*names, "two-stage", "mean"] if training_size else [*names, "mean"]


def find_encoder(generator: Generator, image: Tensor, space: Space) -> Path | None:
    """The bundled encoder of the latest layer from which the space can be reached, if it can see
    the image.
    """
    if space.base != "W+":
        return None
    for layer in range(space.layer or generator.num_ws, 1, -1):
        path = bundled_encoder(generator, layer)
        if path is not None and EncoderShape.of(generator, layer).can_see(generator, image):
            return path
    return None


def encoder_init(
    generator: Generator, image: Tensor, space: Space, encoder: Encoder | None = None
) -> Latent:
    """What the encoder (the bundled one, by default) sees in `image` [1, 3, H, W], as a point of
    `space`.

    It has no companion where one can be made from its F_i (`invert.projection.companion`), which
    tells more than the styles seen.
    Raises :class:`UsageError` where no encoder comes for this generator and space.
    """
    if encoder is None:
        path = find_encoder(generator, image, space)
        if path is None:
            raise UsageError(
                f"no encoder for {generator.name} and {space}; train one with `invert train encoder`"
            )
        encoder = load_encoder(path, generator)
    latent = encoder.encode(generator, image)
    if space.layer is None:
        assert latent.companion is not None
        return generator.convert(generator.latent(latent.companion.styles), space)
    latent = generator.convert(latent, space)
    return latent.replace(companion=None) if can_have_companion(generator, latent) else latent


def mean_init(generator: Generator, image: Tensor, space: Space) -> Latent:
    """The mean w as a point of `space`; on a canvas of another size its maps are repeated."""
    flat = Space("W" if space.base == "W" else "W+", noise=space.noise)
    mean = generator.convert(generator.latent(generator.w_avg[None]), flat)
    return canvas(generator, generator.convert(mean, space), image)


def canvas(generator: Generator, latent: Latent, image: Tensor) -> Latent:
    """The latent with its maps repeated to the image's size; unchanged at the training size."""
    space = latent.space
    if space.layer is None:
        return latent
    cell = generator.cell(space)
    sizes = generator.shapes(space, (image.shape[2] // cell, image.shape[3] // cell))
    if latent.features is None or tuple(latent.features.shape[2:]) == sizes.features:
        return latent

    def tile(t: Tensor, size: tuple[int, int]) -> Tensor:
        return t.repeat(1, 1, -(-size[0] // t.shape[2]), -(-size[1] // t.shape[3]))[
            :, :, : size[0], : size[1]
        ]

    noise = None
    if latent.noise is not None:
        noise = tuple(tile(n, size) for n, size in zip(latent.noise, sizes.noise, strict=True))
    rgb = None if latent.rgb is None or sizes.rgb is None else tile(latent.rgb, sizes.rgb)
    return latent.replace(features=tile(latent.features, sizes.features), rgb=rgb, noise=noise)
