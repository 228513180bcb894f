"""How an encoder is trained: every default stands here."""

from __future__ import annotations

from dataclasses import dataclass

from invert.arguments import check_kinds
from invert.encoders.backbones import BACKBONE_NAMES, BackboneName
from invert.encoders.samples import SEEDS
from invert.errors import UsageError

MAX_PASSES = 8
MIN_SIDE = 32  # pixels, for the perceptual networks
PARTS = {"image_batch": "batch", "warped": "batch", "held_out_images": "held_out"}


@dataclass(frozen=True)
class EncoderSettings:
    """Batches, terms and Adam's rates.

    The terms on F, R and styles are mean squared errors in units of each part's variance, which
    makes a weight mean the same for every generator ([S] has all weights 1). The image terms are
    the squared error and the perceptual distances between what an encoder sees and the image of its
    encoding. They alone teach what no w makes: warped images (:mod:`invert.encoders.warps`), of
    which no point is known; F_i of those is held by the distribution term ([S] eq. 7.2).
    """

    trunk: BackboneName = "efficientnet-b0"  # the backbone; files have this name
    passes: int = 0  # of a refinement, which alone is trained then; 0: the encoder is trained
    batch: int = 12  # samples per update, all new, whose points are known
    image_batch: int | None = None  # of them that are rendered and compared; None: a quarter
    warped: int | None = None  # warped images per update, compared as images only; None: a quarter
    image_every: int = 1  # image terms on every N-th update only
    image_side: int | None = None  # pixels per side of compared images; None: of what is seen
    previews: bool = False  # render encodings by the layers up to the size compared
    perceptual: tuple[str, ...] = ("st-lpips-alex", "st-lpips-vgg")

    early_weight: float = 0.75  # of the distance after all passes of a refinement but the last
    features_weight: float = 1.0  # of F_i, and of R_i where there is one
    styles_weight: float = 1.0
    image_weight: float = 2.0  # of each image term
    dist_weight: float = 0.1  # of the distribution term on F_i of warped images

    lr: float = 5e-4  # the highest; it falls as a cosine to zero at the end
    warmup: int = 100  # updates in which the rate rises
    weight_decay: float = 1e-4
    max_norm: float = 5.0  # of the gradient, which is scaled down to it
    ema: float = 0.999  # decay per update of the averaged weights, which are the result
    input_noise: float = 0.01  # standard deviation of what is added to the samples' images

    held_out: int = 64  # faces that the shares missed are measured on
    held_out_images: int | None = None  # of them that are rendered and compared; None: a quarter
    half: bool | None = None  # bfloat16 for all but the weights; None: on all devices but CPUs
    seed: int = 0

    def __post_init__(self) -> None:
        check_kinds(self)

        if self.trunk not in BACKBONE_NAMES:
            raise UsageError(f"unknown backbone {self.trunk!r}; known: {', '.join(BACKBONE_NAMES)}")

        if not 0 <= self.passes <= MAX_PASSES:
            raise UsageError(f"passes are 0 to {MAX_PASSES}, got {self.passes}")
        for name in ("batch", "image_every", "held_out"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, got {getattr(self, name)}")
        for name, whole in PARTS.items():
            part, most = getattr(self, name), getattr(self, whole)
            if part is not None and not 0 <= part <= most:
                raise UsageError(f"{name} is from 0 to {whole}, which is {most}; got {part}")

        if self.image_side is not None and self.image_side < MIN_SIDE:
            raise UsageError(f"image_side is at least {MIN_SIDE}, got {self.image_side}")
        if self.passes and (not self.compared or self.image_every > 1):
            raise UsageError("a refinement learns from images: image_batch ≥ 1 and image_every 1")
        if self.lr <= 0 or self.max_norm <= 0 or not 0 <= self.ema < 1:
            raise UsageError(
                "expected lr > 0, max_norm > 0 and 0 ≤ ema < 1, "
                f"got {self.lr}, {self.max_norm} and {self.ema}"
            )
        if not 0 <= self.seed < SEEDS // 2:
            raise UsageError(f"seed is an integer in [0, {SEEDS // 2}), got {self.seed}")

    @property
    def compared(self) -> int:
        """Samples per update whose encodings are rendered."""
        return quarter(self.batch) if self.image_batch is None else self.image_batch

    @property
    def unknown(self) -> int:
        """Warped images per update."""
        return quarter(self.batch) if self.warped is None else self.warped

    @property
    def held_out_compared(self) -> int:
        """Held-out faces whose encodings are rendered."""
        return quarter(self.held_out) if self.held_out_images is None else self.held_out_images

    def has_image_terms(self, step: int) -> bool:
        """Whether update `step`, counted from 0, renders."""
        return self.compared + self.unknown > 0 and step % self.image_every == 0


def quarter(count: int) -> int:
    """A quarter of a count, but one at least."""
    return max(1, count // 4)
