"""Perceptual distances between images: LPIPS and its shift-tolerant variant, with frozen weights.

A distance sums, over five to seven depths of a frozen classifier, the squared difference of
activations that were scaled to unit length per pixel, weighted per channel by a learned head and
averaged over pixels. With the roots of the head weights inside the embedding that is a squared
Euclidean distance, so a target is embedded once and compared many times.

LPIPS: R. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
CVPR 2018. ST-LPIPS: A. Ghildyal and F. Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV
2022. The two give different numbers, and a report names the one it used.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from invert.errors import ModelFileError, UsageError, did_you_mean
from invert.hardware.modes import default_modes
from invert.metrics import backbones, shift_tolerant
from invert.metrics.torchvision_files import FILES as TORCHVISION_FILES
from invert.metrics.torchvision_files import torchvision_parts
from invert.metrics.unit_distance import mean_square, unit_distance, unit_length
from invert.weights import ensure
from invert.weights.downloads import Progress

MINIMUM_SIDE = 32
# pixels; a projection compares a 1024 px image at ¼, and no image below this
PERCEPTUAL_SIDE = 256

# What the backbones subtract and divide by: ImageNet's mean and deviation, moved to [-1, 1].
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)

# what makes the stages of a registered model from its tensors
_STAGES = {
    "st-lpips-alex": shift_tolerant.alexnet_stages,
    "st-lpips-vgg": shift_tolerant.vgg16_stages,
    "lpips-alex": backbones.alexnet_stages,
    "lpips-vgg": backbones.vgg16_stages,
}

PERCEPTUAL = (*_STAGES, "lpips-squeeze")
NICKNAMES = {
    "lpips": "lpips-alex",
    "alex": "st-lpips-alex",
    "vgg": "st-lpips-vgg",
    "vgg16": "st-lpips-vgg",
}
NICKNAMES |= {"mse": "none", "l2": "none", "off": "none"}


class PerceptualDistance(nn.Module):
    """Distances [N] between RGB images [N, 3, H, W] in [-1, 1]; 0 for equal images, seldom above 1.

    `stages` run one after the other, and each gives one depth; `heads` are the channel weights [C]
    of the depths, none negative. Gradients flow to the images only.
    """

    def __init__(self, name: str, stages: Sequence[nn.Module], heads: Sequence[Tensor]) -> None:
        super().__init__()
        self.name = name
        self.stages = nn.ModuleList(stages)
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None])
        self.shift: Tensor
        self.scale: Tensor
        for depth, head in enumerate(heads):
            self.register_buffer(f"head_root{depth}", head.sqrt()[:, None, None])
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def embed(self, images: Tensor) -> tuple[Tensor, ...]:
        """One map [N, C, h, w] per depth: unit length per pixel, times the roots of the weights.

        Raises UsageError when `images` is not [N, 3, H, W] with both sides at least 32.
        """
        maps = self.activations(images)
        return tuple(unit_length(x, self.root(depth)) for depth, x in enumerate(maps))

    def activations(self, images: Tensor) -> Iterator[Tensor]:
        """What the stages make of images [N, 3, H, W], depth by depth. Raises as :meth:`embed`."""
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < MINIMUM_SIDE:
            raise UsageError(
                f"expected images [N, 3, H, W] of at least {MINIMUM_SIDE} px a side, "
                f"got {list(images.shape)}"
            )

        # What is on the CPU comes along; nothing goes from a device to the CPU without a word.
        if images.device.type == "cpu":
            images = images.to(self.shift.device)
        x = ((images.to(self.shift.dtype) - self.shift) / self.scale).contiguous(
            memory_format=torch.channels_last
        )

        for stage in self.stages:
            x = stage(x)
            yield x

    def root(self, depth: int) -> Tensor:
        """The roots [C, 1, 1] of a depth's channel weights."""
        return self.get_buffer(f"head_root{depth}")

    def between(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """Distances [N] between two embeddings; either may be that of a single image (N = 1).

        Raises UsageError when they come from images of different sizes.
        """
        if [x.shape[1:] for x in a] != [y.shape[1:] for y in b]:
            raise other_sizes(a[0], b[0])
        return torch.stack([mean_square(x, y) for x, y in zip(a, b, strict=True)]).sum(dim=0)

    def to_embedded(self, images: Tensor, embedding: Sequence[Tensor]) -> Tensor:
        """Distances [N] of images from an embedding, as by :meth:`between`; for descents, since its
        derivatives take less time.

        Raises UsageError as :meth:`embed` and :meth:`between` do.
        """
        depths = []
        for depth, (x, y) in enumerate(zip(self.activations(images), embedding, strict=True)):
            if x.shape[1:] != y.shape[1:]:
                raise other_sizes(x, y)
            depths.append(unit_distance(x, self.root(depth), y))
        return torch.stack(depths).sum(dim=0)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Distances [N] between images of one size."""
        return self.between(self.embed(x), self.embed(y))

    @default_modes()
    def shallow(self, depths: int) -> PerceptualDistance:
        """The sum over the first depths alone, which costs less; it shares the weights."""
        heads = [self.root(k).flatten().square() for k in range(depths)]
        part = PerceptualDistance(self.name, list(self.stages)[:depths], heads)
        return part.to(self.shift.device, self.shift.dtype)

    @default_modes()
    def halved(self) -> PerceptualDistance:
        """A copy that computes in bfloat16; distances are summed in float32."""
        return copy.deepcopy(self).to(torch.bfloat16)


def other_sizes(a: Tensor, b: Tensor) -> UsageError:
    """What to say of maps [N, C, h, w] that come from images of different sizes."""
    return UsageError(
        "expected embeddings of images of one size, got first maps of "
        f"{tuple(a.shape[2:])} and {tuple(b.shape[2:])}; resize the images first"
    )


@default_modes()
def load_perceptual(
    name: str,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    lpips_weights: Path | str | None = None,
    cache_dir: Path | str | None = None,
    progress: Progress | None = None,
) -> PerceptualDistance:
    """The distance of that name, one of PERCEPTUAL.

    Weights come from :func:`invert.weights.ensure`, which gets `cache_dir` and `progress`. For
    "lpips-…" a weights file of torchvision's may be the backbone instead (`lpips_weights`). There
    is no registered "lpips-squeeze": it needs that file, there or in torch's cache.

    Raises UsageError for an unknown name, ModelUnavailableError when weights are not to be had, and
    ModelFileError when a file is not what it should be.
    """
    if name not in PERCEPTUAL:
        near = did_you_mean(name, PERCEPTUAL, NICKNAMES)
        raise UsageError(
            f"expected a perceptual distance, one of {', '.join(PERCEPTUAL)}; got {name!r}{near}"
        )

    if lpips_weights is not None and name not in TORCHVISION_FILES:
        raise UsageError(
            f"{name} has its own backbone; lpips_weights= is for {', '.join(TORCHVISION_FILES)}"
        )
    if lpips_weights is not None or name not in _STAGES:
        path = Path(lpips_weights) if lpips_weights is not None else None
        distance = PerceptualDistance(name, *torchvision_parts(name, path))
    else:
        distance = _load_registered(name, ensure(name, cache_dir=cache_dir, progress=progress))
    return distance.to(device=device, dtype=dtype)


def _load_registered(name: str, path: Path) -> PerceptualDistance:
    tensors = load_file(path)
    try:
        stages = _STAGES[name](tensors)
        return PerceptualDistance(
            name, stages, [tensors[f"head{depth}"] for depth in range(len(stages))]
        )
    except (KeyError, RuntimeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: not the weights of {name} ({error}); delete it to make it anew"
        ) from error


def perceptual_size(side: int, image: Tensor) -> tuple[int, int]:
    """(H, W) at which a projection compares images like `image` by a perceptual distance.

    `side` is the shorter one of a training image: ¼ of a 1024 px generator's, and never below
    256 px per side of a training image.
    """
    scale = min(1.0, max(0.25, PERCEPTUAL_SIDE / side))
    return round(image.shape[2] * scale), round(image.shape[3] * scale)
