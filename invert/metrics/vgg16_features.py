"""Features of pictures by VGG16, of which a Fréchet distance is taken: FD-VGG16.

The trunk is that of `lpips-vgg`: torchvision's VGG16, trained on ImageNet, up to its last
convolution. FID is the same distance of Inception's features, and its numbers are others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn

from invert.errors import ModelFileError, UsageError
from invert.files.regular_files import read_regular
from invert.hardware.precision import full_precision
from invert.metrics.backbones import vgg16_stages
from invert.metrics.moments import Moments
from invert.metrics.perceptual import MINIMUM_SIDE, SCALE, SHIFT
from invert.weights import ensure
from invert.weights.downloads import Progress

NAME = "lpips-vgg"
LAYER = "relu5_3, mean over space"
MAX_BYTES = 1 << 30


class VGG16Features(nn.Module):
    """512 values per RGB image [N, 3, H, W] in [−1, 1]: relu5_3, averaged over its cells.

    Images are taken as they are, at least 32 px a side; a cell is 16 px. `sha256` is that of the
    file of weights.
    """

    def __init__(self, stages: Sequence[nn.Module], sha256: str) -> None:
        super().__init__()
        self.sha256 = sha256
        self.stages = nn.Sequential(*stages)
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None])
        self.shift: Tensor
        self.scale: Tensor
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    @property
    def facts(self) -> dict[str, str]:
        """What a number that was measured with it stands beside."""
        return {"network": NAME, "layer": LAYER, "sha256": self.sha256}

    def forward(self, images: Tensor) -> Tensor:
        """Features [N, 512]. Raises :class:`UsageError` for anything but such images."""
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < MINIMUM_SIDE:
            raise UsageError(
                f"expected images [N, 3, H, W] of at least {MINIMUM_SIDE} px a side, "
                f"got {list(images.shape)}"
            )
        if images.device.type == "cpu":
            images = images.to(self.shift.device)
        x = (images.to(self.shift.dtype) - self.shift) / self.scale
        return self.stages(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))


def load_vgg16_features(
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    cache_dir: Path | str | None = None,
    progress: Progress | None = None,
) -> VGG16Features:
    """The trunk of `lpips-vgg`, from :func:`invert.weights.ensure`.

    Raises :class:`ModelUnavailableError` when the weights are not to be had, and
    :class:`ModelFileError` when the file is not what it should be.
    """
    path = ensure(NAME, cache_dir=cache_dir, progress=progress)
    try:
        data = read_regular(path, MAX_BYTES)
        stages = vgg16_stages(load(data))
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: not the weights of {NAME} ({error}); delete it to make it anew"
        ) from error
    network = VGG16Features(stages, hashlib.sha256(data).hexdigest())
    return network.to(device=device, dtype=dtype)


def vgg16_moments(
    batches: Iterable[Tensor], network: VGG16Features, *, so_far: Moments | None = None
) -> Moments:
    """The moments of the features of batches of images [N, 3, H, W] in [−1, 1].

    `so_far` are moments to go on from. Nothing waits for the device between batches. Raises
    :class:`UsageError` where there is no image.
    """
    moments = so_far
    for images in batches:
        with torch.inference_mode(), full_precision():
            batch = Moments.of(network(images))
            moments = batch if moments is None else moments.merged(batch)
    if moments is None:
        raise UsageError("expected images to take moments of, got none")
    return Moments(moments.count, moments.mean.clone(), moments.scatter.clone())
