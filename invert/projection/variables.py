"""The tensors that a projection optimizes, and the latent they stand for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from invert.generator import Generator
from invert.latents.latent import Latent
from invert.projection.regularizers import standardize
from invert.projection.settings import ProjectionSettings


class Variables:
    """Leaf tensors of one point, started at a latent, with a learning rate for each.

    Style maps are a base vector per layer, learned like any style, plus a coarse map of offsets
    that starts at zero
    and is learned slowly: maps learned at the rate of vectors diverge ([S] 9.1.1 found no stable
    way).
    """

    def __init__(self, generator: Generator, start: Latent, settings: ProjectionSettings) -> None:
        self.generator = generator
        self.start = start
        self.settings = settings
        self.offsets: list[Tensor] = []
        if start.space.spatial:
            maps = start.style_list()
            self.styles = leaf(torch.stack([s.mean(dim=(2, 3)) for s in maps], 1))
            base = self.styles.detach().unbind(1)
            self.offsets = [
                leaf(self.offset_map(s - b[:, :, None, None], k))
                for k, (s, b) in enumerate(zip(maps, base, strict=True))
            ]
        else:
            self.styles = leaf(start.style_tensor())
        self.features = None if start.features is None else leaf(start.features)
        self.rgb = None if start.rgb is None else leaf(start.rgb)
        self.noise = [leaf(n) for n in start.noise or ()]

    def offset_map(self, offset: Tensor, k: int) -> Tensor:
        """The start of the k-th offset map, at the working size or its layer's size, whichever is
        less.
        """
        layer = self.generator.layer(self.start.space.first + k)
        canvas = self.generator.check(self.start).inputs[k]
        per_side = min(self.settings.offset_size, layer.size)
        size = [max(1, side * per_side // layer.size) for side in canvas]
        return torch.nn.functional.interpolate(
            offset, size=size, mode="bilinear", align_corners=False
        )

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups for Adam; `rate` is the learning rate that the schedule scales."""
        s = self.settings
        groups = [{"params": [self.styles, *self.noise], "rate": s.lr}]
        if self.offsets:
            groups.append({"params": self.offsets, "rate": s.offset_lr})
        maps = [t for t in (self.features, self.rgb) if t is not None]
        rates = [s.feature_lr * float(t.detach().std()) for t in maps]
        return groups + [{"params": [t], "rate": rate} for t, rate in zip(maps, rates, strict=True)]

    def tensors(self) -> list[Tensor]:
        return [
            self.styles,
            *self.noise,
            *self.offsets,
            *(t for t in (self.features, self.rgb) if t is not None),
        ]

    def latent(self, w_noise: Tensor | None = None) -> Latent:
        """The point now, differentiable in every tensor; `w_noise` is added to the style vectors."""
        base = self.styles if w_noise is None else self.styles + w_noise
        styles: Tensor | tuple[Tensor, ...] = base
        if self.start.space.spatial:
            styles = tuple(
                b[:, :, None, None] + o for b, o in zip(base.unbind(1), self.offsets, strict=True)
            )
        noise = tuple(self.noise) if self.start.noise is not None else None
        return self.start.replace(styles=styles, features=self.features, rgb=self.rgb, noise=noise)

    def standardize_noise(self) -> None:
        with torch.no_grad():
            standardize(self.noise)

    def offset_penalty(self) -> Tensor | float:
        """Σ mean square of the style offset maps."""
        return sum((o.square().mean() for o in self.offsets), 0.0)

    def snapshot(self) -> list[Tensor]:
        return [t.detach().clone() for t in self.tensors()]

    def restore(self, snapshot: list[Tensor]) -> None:
        with torch.no_grad():
            for t, value in zip(self.tensors(), snapshot, strict=True):
                t.copy_(value)

    def latent_of(self, snapshot: list[Tensor]) -> Latent:
        """The point that a snapshot holds, with tensors of its own; the variables go there."""
        self.restore(snapshot)
        return self.latent().detach().map(Tensor.clone)


def leaf(t: Tensor) -> Tensor:
    return t.detach().clone().requires_grad_()
