"""F_i, R_i and styles of an image in one forward pass ([S] algorithm 3), refined where there is a
refinement: a projection's init.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from invert.encoders.backbones import LAST_WIDTH, WIDTHS, BackboneName, load_imagenet, new_backbone
from invert.encoders.encoder_heads import MapHead, StyleHead
from invert.encoders.encoding import Encoding
from invert.encoders.refinement import Refinement
from invert.encoders.slope import Slope, Target, slope_size
from invert.errors import FingerprintError, UsageError
from invert.generator import Generator
from invert.hardware.modes import default_modes, float32_by_default, ordinary
from invert.hardware.precision import full_precision
from invert.images.images import area_downscale
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.spaces import Space

# pixels of a training-size image as the backbone sees it; a 1024 px image at ¼ ([S] algorithm 3)
INPUT_SIDE = 256
MAP_WIDTH, RGB_WIDTH = 320, 32  # channels between the backbone and F_i, and R_i


@dataclass(frozen=True)
class EncoderShape:
    """What an encoder was built for: all its tensor shapes follow from it.

    Sizes are those of a square generator of as many layers. An encoder sees any shape, as images
    and maps grow alike.
    """

    layer: int  # i of F_i
    channels: int  # of F_i
    size: int  # side of F_i in cells at the training size
    rgb_size: int | None  # side of R_i; None where the generator has no R_i
    num_ws: int
    w_dim: int
    resolution: int  # of the generator, in pixels
    trunk: BackboneName = "efficientnet-b0"  # the backbone; files have this name
    passes: int = 0  # of the refinement; 0 without one
    slope_side: int = 0  # pixels per side of the images that the refinement compares; 0 without one

    @classmethod
    def from_generator(
        cls,
        generator: Generator,
        layer: int,
        backbone: BackboneName = "efficientnet-b0",
        passes: int = 0,
    ) -> EncoderShape:
        """The shape for a generator's layer, with a refinement of so many passes.

        Raises :class:`UsageError` where the backbone has no such cells, or a refinement would
        compare smaller images than it can.
        """
        cells = generator.layer(layer)
        half = cells.nominal // 2 if cells.rgb_is_half else cells.nominal
        shape = cls(
            layer=layer,
            channels=cells.channels,
            size=cells.nominal,
            rgb_size=None if cells.rgb_cells is None else half,
            num_ws=generator.num_ws,
            w_dim=generator.w_dim,
            resolution=generator.network.nominal_resolution,
            trunk=backbone,
            passes=passes,
            slope_side=slope_size(generator, layer) if passes else 0,
        )

        # Both maps must have cells of one of the strides that the backbone has.
        sides = (shape.size, shape.rgb_size)
        strides = {shape.input_side / side for side in sides if side is not None}
        if not strides <= set(WIDTHS):
            height, width = cells.cells
            raise UsageError(
                f"layer {layer} has {width}×{height} cells, expected 1/2 to 1/32 of the encoder's "
                f"{shape.input_side} px input; choose another layer"
            )
        return shape

    @property
    def input_side(self) -> int:
        """Side in pixels at which the backbone sees a training-size image that is a square."""
        return min(INPUT_SIDE, self.resolution)

    def can_see(self, generator: Generator, images: Tensor) -> bool:
        """Whether images [N, 3, H, W] are whole feature cells, and not too small."""
        step, scale = generator.step(Space("W+", self.layer)), self.input_side / self.resolution
        return all(side % step == 0 and side * scale >= max(WIDTHS) for side in images.shape[2:])

    def input_size(self, generator: Generator, images: Tensor) -> tuple[int, int]:
        """(h, w) at which the backbone sees images [N, 3, H, W].

        Raises :class:`UsageError` for what it cannot see.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise UsageError(f"expected images [N, 3, H, W], got {list(images.shape)}")
        height, width = images.shape[2:]
        scale = self.input_side / self.resolution
        if not self.can_see(generator, images):
            raise UsageError(
                "the encoder takes images of whole feature cells and at least "
                f"{max(WIDTHS) / scale:g} px a side, got {width}×{height}"
            )
        return round(height * scale), round(width * scale)


class Pass(NamedTuple):
    """One pass of a refinement: the slope at the encoding before it, and the encoding after it."""

    before: Encoding
    slope: Slope
    after: Encoding


class Encoder(nn.Module):
    """An EfficientNet with a head each for F_i, R_i and the styles.

    The styles before layer i are no part of the point: they make its companion, by which edits
    reach F_i without training.
    """

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.fingerprint = ""  # of the generator it was trained for
        self.trunk = new_backbone(shape.trunk)

        # F_i, in units of its spread over generated images.
        self.feature_head = MapHead(shape.input_side // shape.size, MAP_WIDTH, shape.channels)
        self.register_buffer("feature_mean", torch.zeros(shape.channels, 1, 1))
        self.register_buffer("feature_std", torch.ones(shape.channels, 1, 1))
        self.feature_mean: Tensor
        self.feature_std: Tensor

        # R_i, where the generator has one.
        self.rgb_head: MapHead | None = None
        if shape.rgb_size is not None:
            self.rgb_head = MapHead(shape.input_side // shape.rgb_size, RGB_WIDTH, 3)

        # All styles, as offsets from the mean w.
        self.style_head = StyleHead(LAST_WIDTH, MAP_WIDTH, shape.num_ws * shape.w_dim)
        self.register_buffer("w_avg", torch.zeros(shape.w_dim))
        self.w_avg: Tensor

        # What brings all of them nearer to the image, where there is such a thing.
        self.refinement: Refinement | None = None
        if shape.passes:
            self.refinement = Refinement(
                shape.passes,
                shape.channels,
                shape.num_ws,
                shape.w_dim,
                rgb=shape.rgb_size is not None,
            )

        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Encoding:
        """The encoding of images [N, 3, h, w] in [−1, 1] at the backbone's scale, not refined."""
        activations = self.trunk.extract_endpoints(
            images.contiguous(memory_format=torch.channels_last)
        )
        features, mixed = self.feature_head(activations)
        rgb = None if self.rgb_head is None else self.rgb_head(activations)[0]
        offsets = self.style_head(activations["reduction_6"], mixed)
        styles = self.w_avg + offsets.reshape(len(images), self.shape.num_ws, self.shape.w_dim)
        return Encoding(self.feature_mean + self.feature_std * features, rgb, styles)

    def refined(self, generator: Generator, images: Tensor) -> Encoding:
        """The same, refined where there is a refinement; without gradients.

        Each pass of a refinement renders the encoding and takes the gradient of its distance to
        `images`, which costs about as much as a step of a projection.
        """
        with default_modes(), torch.no_grad(), full_precision():
            images = ordinary(images)
            encoding = self(images)
            if self.refinement is not None:
                for step in self.passes(generator, encoding, images):
                    encoding = step.after
        return encoding

    def passes(self, generator: Generator, encoding: Encoding, images: Tensor) -> Iterator[Pass]:
        """The passes of the refinement from an encoding of images, in turn.

        Slopes are constants; gradients flow through the sum of all steps.
        """
        assert self.refinement is not None
        cells = encoding.features.shape[2], encoding.features.shape[3]
        target = Target(generator, self.shape.layer, images, cells)
        velocity = encoding.map(torch.zeros_like)
        for k in range(self.refinement.passes):
            slope, before = target.slope(encoding), encoding
            encoding, velocity = self.refinement(k, before, slope, velocity, self.feature_std)
            yield Pass(before, slope, encoding)

    def encode(self, generator: Generator, images: Tensor) -> Latent:
        """The point of FW_i for images [N, 3, H, W] in [−1, 1] at the generator's scale, of any
        size F_i can cover.

        Raises :class:`FingerprintError` for another generator, :class:`UsageError` for a size that
        is not whole cells or that the backbone cannot see.
        """
        if generator.fingerprint != self.fingerprint:
            raise FingerprintError(
                "expected the generator that this encoder was trained for "
                f"({self.fingerprint[:12]}), got {generator.name or 'another'} "
                f"({generator.fingerprint[:12]}); train one with `invert train encoder`"
            )

        # One look at the backbone's scale, refined where there is a refinement.
        size = self.shape.input_size(generator, images)
        small = area_downscale(images.to(generator.device, generator.dtype), size)
        encoding = self.refined(generator, small)
        return Latent(
            Space("W+", self.shape.layer),
            encoding.styles[:, self.shape.layer - 1 :].clone(),
            generator.fingerprint,
            features=encoding.features,
            rgb=encoding.rgb,
            companion=Companion(encoding.styles),
            metadata=generator.reference,
        )


@default_modes()
@float32_by_default()
def new_encoder(
    generator: Generator,
    layer: int,
    backbone: BackboneName = "efficientnet-b0",
    passes: int = 0,
) -> Encoder:
    """An untrained encoder for a generator's layer; its heads are zero, so it finds the mean
    whatever it sees. `passes` are those of its refinement.

    The backbone has random weights if it is efficientnet-b0, those of ImageNet if it is
    efficientnet-lite0.
    """
    encoder = Encoder(EncoderShape.from_generator(generator, layer, backbone, passes))
    if backbone == "efficientnet-lite0":
        load_imagenet(encoder.trunk)
    encoder.fingerprint = generator.fingerprint
    encoder.w_avg.copy_(generator.w_avg)
    for head in (encoder.feature_head, encoder.rgb_head, encoder.style_head):
        if head is not None:
            for parameter in head.leave.parameters():
                nn.init.zeros_(parameter)
    return encoder


def shape_facts(shape: EncoderShape) -> dict[str, int | None]:
    """The fields of a shape, as its file stores them."""
    return dataclasses.asdict(shape)
