"""The tensors that a projection optimizes, and the latent they stand for."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.generator import Generator
from invert.latents.latent import Latent
from invert.projection.regularizers import standardize
from invert.projection.settings import ProjectionSettings


class Variables:
    """Leaf tensors of one point, set to those of `init`, and the latent that they make.

    A style map is a base vector per layer, learned like any style, plus a coarse map of offsets
    that begins at zero for a style vector and is learned slowly: maps learned at the rate of
    vectors diverge ([S] 9.1.1 found no stable way).
    """

    def __init__(self, generator: Generator, init: Latent, settings: ProjectionSettings) -> None:
        self.generator = generator
        self.init = init
        self.settings = settings

        # Styles [1, n, w_dim]; a style map is split into its mean and its offsets [1, w_dim, h, w].
        self.offsets: list[Tensor] = []
        if init.space.spatial:
            maps = init.style_list()
            self.styles = leaf(torch.stack([s.mean(dim=(2, 3)) for s in maps], 1))
            base = self.styles.detach().unbind(1)
            self.offsets = [
                leaf(self.offset_map(s - b[:, :, None, None], k))
                for k, (s, b) in enumerate(zip(maps, base, strict=True))
            ]
        else:
            self.styles = leaf(init.style_tensor())

        # F_i and R_i, where the space has them, and noise maps.
        self.features = None if init.features is None else leaf(init.features)
        self.rgb = None if init.rgb is None else leaf(init.rgb)
        self.noise = [leaf(n) for n in init.noise or ()]

    def offset_map(self, offset: Tensor, k: int) -> Tensor:
        """The offset of style k at `offset_size` cells per training side, or fewer.

        A layer that is smaller than that has one offset per pixel.
        """
        layer = self.generator.layer(self.init.space.first + k)
        per_side = min(self.settings.offset_size, layer.size)
        inputs = self.generator.check(self.init).inputs[k]
        size = [max(1, side * per_side // layer.size) for side in inputs]
        return F.interpolate(offset, size=size, mode="bilinear", align_corners=False)

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups for Adam; `rate` is the learning rate that the schedule scales."""
        s = self.settings
        groups = [{"params": [self.styles, *self.noise], "rate": s.lr}]
        if self.offsets:
            groups.append({"params": self.offsets, "rate": s.offset_lr})

        # F_i and R_i move in units of their own standard deviation.
        maps = [t for t in (self.features, self.rgb) if t is not None]
        rates = [s.feature_lr * float(t.detach().std()) for t in maps]
        return groups + [{"params": [t], "rate": rate} for t, rate in zip(maps, rates, strict=True)]

    def tensors(self) -> list[Tensor]:
        """Every leaf tensor, in the order of snapshots."""
        maps = [t for t in (self.features, self.rgb) if t is not None]
        return [self.styles, *self.noise, *self.offsets, *maps]

    def latent(self, w_noise: Tensor | None = None) -> Latent:
        """The point now, differentiable in every tensor; `w_noise` is added to the styles."""
        base = self.styles if w_noise is None else self.styles + w_noise

        styles: Tensor | tuple[Tensor, ...] = base
        if self.init.space.spatial:
            styles = tuple(
                b[:, :, None, None] + o for b, o in zip(base.unbind(1), self.offsets, strict=True)
            )

        noise = tuple(self.noise) if self.init.noise is not None else None
        return self.init.replace(styles=styles, features=self.features, rgb=self.rgb, noise=noise)

    def standardize_noise(self) -> None:
        """Set every noise map to zero mean and unit variance, in place ([K] appendix D)."""
        with torch.no_grad():
            standardize(self.noise)

    def offset_penalty(self) -> Tensor | float:
        """Σ mean square of the style offset maps."""
        return sum((o.square().mean() for o in self.offsets), 0.0)

    def snapshot(self) -> list[Tensor]:
        """Copies of all tensors as they are now."""
        return [t.detach().clone() for t in self.tensors()]

    def restore(self, snapshot: list[Tensor]) -> None:
        """Set all tensors to those of a snapshot."""
        with torch.no_grad():
            for t, value in zip(self.tensors(), snapshot, strict=True):
                t.copy_(value)

    def latent_at(self, snapshot: list[Tensor]) -> Latent:
        """The latent of a snapshot, with tensors of its own; the variables are restored to it."""
        self.restore(snapshot)
        return self.latent().detach().map(Tensor.clone)


def leaf(t: Tensor) -> Tensor:
    """A copy of a tensor that can be optimized."""
    return t.detach().clone().requires_grad_()
