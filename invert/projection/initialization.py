"""The init of a projection: the latent that the optimization begins at.

It is the mean w, what an encoder gives for the image, or a latent of the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from invert.encoders.encoder import Encoder, EncoderShape
from invert.encoders.encoder_files import bundled_encoder, load_encoder
from invert.errors import LatentError, UsageError
from invert.generator import Generator
from invert.hardware.modes import ordinary
from invert.latents.latent import Latent
from invert.latents.shapes import Size
from invert.latents.spaces import Space
from invert.latents.statistics import central_z
from invert.projection.companion import can_have_companion

InitName = Literal["encoder", "two-stage", "mean"]
INIT_NAMES: tuple[InitName, ...] = get_args(InitName)
Init = Latent | str | None  # a point, the name of a method, or None for the usual one


def inits_of(init: Init | Sequence[Init], images: int) -> list[Init]:
    """One init for each image.

    They may share one, or be given as a sequence, or as a latent of as many points. Raises
    :class:`UsageError` for any other number.
    """
    if isinstance(init, Latent) and len(init) > 1:
        init = [init[k] for k in range(len(init))]
    if init is None or isinstance(init, (str, Latent)):
        return [init] * images
    if len(init) != images:
        raise UsageError(f"expected one init for each of {images} images, got {len(init)}")
    return list(init)


def initial_latent(
    generator: Generator, image: Tensor, space: Space, init: Init
) -> tuple[str, Latent]:
    """The name of the init ("latent" for a given one) and its point.

    The point is one of `space`, or of (N)W+ or (N)Z where two stages begin. Raises
    :class:`UsageError` for a name that does not fit, and :class:`LatentError` for a latent of
    another size than the image.
    """
    if isinstance(init, Latent):
        if len(init) != 1:
            raise LatentError(f"expected an init of one point for one image, got {len(init)}")
        name, latent = "latent", generator.convert(init.map(ordinary), space)
    else:
        possible = possible_inits(generator, image, space)
        if init is not None and init not in possible:
            names = ", ".join(possible)
            raise UsageError(f"no init {init!r} for this image and {space}; possible: {names}")
        name = init or possible[0]
        if name == "encoder":
            latent = encoder_init(generator, image, space)
        else:
            flat = Space("Z" if space.base == "Z" else "W+", noise=space.noise)
            latent = mean_init(generator, image, flat if name == "two-stage" else space)

    size = generator.check(latent).image
    if size != tuple(image.shape[2:]):
        raise LatentError(f"the init renders {size}, the image is {tuple(image.shape[2:])}")
    return name, latent


def possible_inits(generator: Generator, image: Tensor, space: Space) -> list[InitName]:
    """The inits that an image and a space allow, the default one first."""
    training_size = tuple(image.shape[2:]) == generator.image_size
    encoder = find_encoder(generator, image, space) is not None
    if space.layer is None:
        return ["mean", "encoder"] if encoder else ["mean"]

    names: list[InitName] = ["encoder"] if encoder else []
    return [*names, "two-stage", "mean"] if training_size else [*names, "mean"]


def find_encoder(generator: Generator, image: Tensor, space: Space) -> Path | None:
    """The bundled encoder of the latest layer that leads to the space; None without one.

    It can take images of the size of `image`.
    """
    if space.base != "W+":
        return None
    for layer in range(space.layer or generator.num_ws, 1, -1):
        path = bundled_encoder(generator, layer)
        if path is not None and EncoderShape.from_generator(generator, layer).can_see(
            generator, image
        ):
            return path
    return None


def encoder_init(
    generator: Generator, image: Tensor, space: Space, encoder: Encoder | None = None
) -> Latent:
    """The encoding of `image` [1, 3, H, W] as a point of `space`.

    `encoder` is by default the bundled one. The point has no companion where one can be fitted to
    its F_i (:mod:`invert.projection.companion`), which is a better one than the encoder's styles.
    Raises :class:`UsageError` where there is no encoder for this generator and space.
    """
    if encoder is None:
        path = find_encoder(generator, image, space)
        if path is None:
            raise UsageError(
                f"no encoder for {generator.name} and {space}; "
                "train one with `invert train encoder`"
            )
        encoder = load_encoder(path, generator)

    latent = encoder.encode(generator, image)
    if space.layer is None:
        assert latent.companion is not None
        return generator.convert(generator.latent(latent.companion.styles), space)
    latent = generator.convert(latent, space)
    return latent.replace(companion=None) if can_have_companion(generator, latent) else latent


def mean_init(generator: Generator, image: Tensor, space: Space) -> Latent:
    """The mean w as a point of `space`; on a canvas of another size its maps are repeated.

    In Z spaces it is the point of a z whose w is near the mean: no z has the mean itself.
    """
    if space.base == "Z":
        z, label = central_z(generator.network, generator.w_avg)
        point = Latent(
            Space("Z"), z, generator.fingerprint, label=label, metadata=generator.reference
        )
        mean = generator.convert(point, Space("Z", noise=space.noise))
    else:
        flat = Space("W" if space.base == "W" else "W+", noise=space.noise)
        mean = generator.convert(generator.latent(generator.w_avg[None]), flat)
    return tile_to(generator, generator.convert(mean, space), image)


def tile_to(generator: Generator, latent: Latent, image: Tensor) -> Latent:
    """The latent with its maps repeated to the image's size; unchanged at the training size."""
    space = latent.space
    if space.layer is None:
        return latent
    cell = generator.cell(space)
    sizes = generator.shapes(space, (image.shape[2] // cell, image.shape[3] // cell))
    if latent.features is None or tuple(latent.features.shape[2:]) == sizes.features:
        return latent

    def tile(t: Tensor, size: Size) -> Tensor:
        down, across = -(-size[0] // t.shape[2]), -(-size[1] // t.shape[3])
        return t.repeat(1, 1, down, across)[:, :, : size[0], : size[1]]

    features = tile(latent.features, sizes.features)
    rgb = None if latent.rgb is None or sizes.rgb is None else tile(latent.rgb, sizes.rgb)
    noise = None
    if latent.noise is not None:
        noise = tuple(tile(n, size) for n, size in zip(latent.noise, sizes.noise, strict=True))
    return latent.replace(features=features, rgb=rgb, noise=noise)
