"""The size of every part of a point in a generator, on a canvas of any size."""

from __future__ import annotations

from dataclasses import dataclass

from invert.arguments import MAX_PIXELS
from invert.errors import LatentError, SpaceError
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.networks.network import Size, SynthesisNetwork


@dataclass(frozen=True)
class Shapes:
    """Heights and widths in cells of the maps of a space; lists start at layer `space.first`.

    `inputs[k]` is F's size at layer first + k, the most a style map of that layer can have. The
    noise maps are those of layers that exist.
    """

    features: Size
    rgb: Size | None
    inputs: tuple[Size, ...]
    noise: tuple[Size, ...]
    image: Size


def shapes(
    network: SynthesisNetwork,
    space: Space,
    features: Size | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
) -> Shapes:
    """The sizes for F_i of `features` cells at layer `space.first`; by default those of training.

    Raises :class:`SpaceError` for a layer that the generator does not have, and
    :class:`LatentError` for odd features where the RGB map has half their size and for images
    beyond the limit of pixels.
    """
    check_layer(network, space)
    first = network.layers[space.first - 1]
    h, w = features or first.cells
    if first.rgb_is_half and (h % 2 or w % 2):
        raise LatentError(
            f"{space} needs features of even height and width (R_i has half), got {h}×{w}"
        )

    # Every map keeps its size relative to F_i.
    def scaled(size: Size) -> Size:
        return h * size[0] // first.cells[0], w * size[1] // first.cells[1]

    image = scaled(network.image_size)
    if image[0] * image[1] > max_pixels:
        raise LatentError(
            f"{space} of {w}×{h} cells is an image of {image[1]}×{image[0]} px, "
            f"the limit is {max_pixels / 1e6:g} Mpx; use fewer cells"
        )
    layers = network.layers[space.first - 1 :]
    return Shapes(
        features=(h, w),
        rgb=None if first.rgb_cells is None else scaled(first.rgb_cells),
        inputs=tuple(scaled(layer.cells) for layer in layers),
        noise=tuple(scaled(layer.noise_cells) for layer in layers if layer.noise_cells is not None),
        image=image,
    )


def pixels(image: Size) -> str:
    """ "1024 px" of a square image, "512×1024 px" (width × height) of another one."""
    height, width = image
    return f"{width} px" if width == height else f"{width}×{height} px"


def check_layer(network: SynthesisNetwork, space: Space) -> None:
    """Raise :class:`SpaceError` unless the generator has the layer the space starts at.

    Spaces without features start where the generator does.
    """
    check_index(network, space)
    if space.layer is not None and space.layer < network.first:
        i = network.first
        raise SpaceError(
            f"{space}: this generator starts from F_{i}, which is sampled; F_{space.layer} does "
            f"not exist; it has Z, W, W+ and SW+, FNZ{i}, FW{i}, FSW{i} and those of later layers, "
            "with or without noise"
        )


def check_index(network: SynthesisNetwork, space: Space) -> None:
    """Raise :class:`SpaceError` for a layer after the last one."""
    if space.first > network.num_ws:
        raise SpaceError(
            f"{space}: this generator has layers {network.first} to {network.num_ws} "
            f"({pixels(network.image_size)}); layer {space.first} does not exist"
        )


def check_fit(network: SynthesisNetwork, latent: Latent, *, max_pixels: int = MAX_PIXELS) -> Shapes:
    """The latent's sizes, if every part fits the network.

    Raises :class:`LatentError` or :class:`SpaceError` otherwise.
    """
    space = latent.space

    # F_i may have any size; all other maps have sizes relative to it.
    features = latent.features
    size = None if features is None else (features.shape[2], features.shape[3])
    expected = shapes(network, space, size, max_pixels=max_pixels)
    channels = network.layers[space.first - 1].channels
    if features is not None and features.shape[1] != channels:
        raise LatentError(f"{space} needs {channels} feature channels, got {features.shape[1]}")

    # R_i and noise.
    rgb = None if latent.rgb is None else tuple(latent.rgb.shape[2:])
    wanted = expected.rgb if space.layer else None
    if rgb != wanted:
        raise LatentError(f"{space} needs an RGB map of {wanted} cells here, got {rgb}")
    if latent.noise is not None:
        sizes = tuple(tuple(n.shape[2:]) for n in latent.noise)
        if sizes != expected.noise:
            raise LatentError(f"{space} needs noise maps of {expected.noise}, got {sizes}")

    check_styles(network, latent, expected)
    if latent.companion is not None:
        check_companion(network, latent.companion, space, expected)
    check_label(network, latent)
    return expected


def check_styles(network: SynthesisNetwork, latent: Latent, expected: Shapes) -> None:
    """Raise :class:`LatentError` unless the styles have the number and the sizes of the network."""
    space, styles = latent.space, latent.styles
    count = network.num_ws - space.first + 1

    # Maps may have any size up to their layer's.
    if isinstance(styles, tuple):
        widths, found = {s.shape[1] for s in styles}, len(styles)
        too_large = [
            f"w_{space.first + k} {tuple(s.shape[2:])} > {size}"
            for k, (s, size) in enumerate(zip(styles, expected.inputs, strict=False))
            if s.shape[2] > size[0] or s.shape[3] > size[1]
        ]
        if too_large:
            raise LatentError(
                f"{space} style maps are at most as large as their layer's input: {too_large[0]}"
            )
    else:
        widths, found = {styles.shape[-1]}, styles.shape[1] if styles.ndim == 3 else count

    # One style per layer in W+, one for all layers in W and Z.
    width = network.mapping.z_dim if space.base == "Z" else network.mapping.w_dim
    if widths != {width} or found != count:
        raise LatentError(
            f"{space} needs {count if space.base == 'W+' else 1} style(s) of {width} values here, "
            f"got {found if space.base == 'W+' else 1} of {sorted(widths)}"
        )


def check_label(network: SynthesisNetwork, latent: Latent) -> None:
    """Raise :class:`LatentError` unless z of a conditional network, and only it, has a label."""
    space = latent.space
    c_dim = network.mapping.c_dim if space.base == "Z" else 0
    label = 0 if latent.label is None else latent.label.shape[1]
    if label != c_dim:
        raise LatentError(f"{space} needs a label of {c_dim} values here, got {label}")


def check_companion(
    network: SynthesisNetwork, companion: Companion, space: Space, expected: Shapes
) -> None:
    """Raise :class:`LatentError` unless a companion's styles and windows fit the network."""
    wanted, found = (network.num_ws, network.mapping.w_dim), tuple(companion.styles.shape[-2:])
    if found != wanted:
        raise LatentError(f"the companion needs {wanted} values here, got {found}")
    if companion.windows is not None:
        height, width = network.layers[space.first - 1].cells
        x, y = companion.windows.amax((0, 1)).tolist()
        if y + height > expected.features[0] or x + width > expected.features[1]:
            cells = f"{width}×{height} cells of F_i"
            raise LatentError(f"a companion needs {cells}, and its window leaves fewer")
