"""The tensors that a projection optimizes, and the latents they stand for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.generator import Generator
from invert.hardware.precision import numbers
from invert.latents.latent import Latent
from invert.networks.network import normalize_2nd_moment
from invert.projection.adam import Group
from invert.projection.regularizers import standardize
from invert.projection.settings import ProjectionSettings


class Variables:
    """Leaf tensors of the points of a batch, set to those of `init`, and the latent they make.

    `init` holds one latent of one point per image, all of one space and size; the first axis of
    every tensor is that of images.

    A style map is a base vector per layer, learned like any style, plus a coarse map of offsets
    that begins at zero for a style vector and is learned slowly: maps learned at the rate of
    vectors diverge ([S] 9.1.1 found no stable way). In Z spaces the styles are z.
    """

    def __init__(
        self, generator: Generator, init: Sequence[Latent], settings: ProjectionSettings
    ) -> None:
        self.generator = generator
        self.points = init
        self.settings = settings

        # Companions are no variables.
        bare = [latent.replace(companion=None) for latent in init]
        self.init = bare[0] if len(bare) == 1 else Latent.cat(bare)

        # The class of z. Recorded steps read it where it is, so that the next one is copied there.
        self.label = None if self.init.label is None else self.init.label.clone()

        # Styles [N, n, w_dim]; a style map is split into its mean and its offsets [N, w_dim, h, w].
        self.offsets: list[Tensor] = []
        if self.init.space.spatial:
            maps = self.init.style_list()
            self.styles = leaf(torch.stack([s.mean(dim=(2, 3)) for s in maps], 1))
            base = self.styles.detach().unbind(1)
            self.offsets = [
                leaf(self.offset_map(s - b[:, :, None, None], k))
                for k, (s, b) in enumerate(zip(maps, base, strict=True))
            ]
        else:
            self.styles = leaf(self.init.style_tensor())

        # F_i and R_i, where the space has them, and noise maps.
        self.features = None if self.init.features is None else leaf(self.init.features)
        self.rgb = None if self.init.rgb is None else leaf(self.init.rgb)
        self.noise = [leaf(n) for n in self.init.noise or ()]

    def offset_map(self, offset: Tensor, k: int) -> Tensor:
        """The offset of style k at `offset_size` cells per training side, or fewer.

        A layer that is smaller than that has one offset per pixel. The map of an init that has more
        cells keeps them, so that the point begins as it is.
        """
        layer = self.generator.layer(self.init.space.first + k)
        per_side = min(self.settings.offset_size, layer.size)
        inputs = self.generator.check(self.init).inputs[k]
        size = [
            max(1, side * per_side // layer.size, present)
            for side, present in zip(inputs, offset.shape[2:], strict=True)
        ]
        return F.interpolate(offset, size=size, mode="bilinear", align_corners=False)

    def groups(self) -> list[Group]:
        """Groups for Adam, in the order of :meth:`tensors`, with rates that the schedule scales."""
        s = self.settings
        ones = numbers([1.0] * len(self.styles), self.styles.device)
        groups = [Group([self.styles, *self.noise], s.lr * ones)]
        if self.offsets:
            groups.append(Group(self.offsets, s.offset_lr * ones))

        # F_i and R_i move in units of their own standard deviation.
        for t in (self.features, self.rgb):
            if t is not None:
                deviations = torch.stack([one.std() for one in t.detach().split(1)])
                groups.append(Group([t], s.feature_lr * deviations.to(ones)))
        return groups

    def tensors(self) -> list[Tensor]:
        """Every leaf tensor, in the order of snapshots."""
        maps = [t for t in (self.features, self.rgb) if t is not None]
        return [self.styles, *self.noise, *self.offsets, *maps]

    def latent(self, w_noise: Tensor | None = None) -> Latent:
        """The points now, differentiable in every tensor; `w_noise` is added to the styles."""
        base = self.styles if w_noise is None else self.styles + w_noise

        styles: Tensor | tuple[Tensor, ...] = base
        if self.init.space.spatial:
            styles = tuple(
                b[:, :, None, None] + o for b, o in zip(base.unbind(1), self.offsets, strict=True)
            )

        noise = tuple(self.noise) if self.init.noise is not None else None
        return self.init.replace(
            styles=styles, label=self.label, features=self.features, rgb=self.rgb, noise=noise
        )

    def standardize(self) -> None:
        """Set every noise map to zero mean and unit variance, in place ([K] appendix D).

        So is z to unit mean square, which has no effect on w: the mapping network does it first.
        """
        with torch.no_grad():
            standardize(self.noise)
            if self.init.space.base == "Z":
                self.styles.copy_(normalize_2nd_moment(self.styles))

    def offset_penalty(self) -> Tensor:
        """Σ mean square of the style offset maps, [N]."""
        total = torch.zeros(())
        for o in self.offsets:
            total = total + o.square().mean(dim=(1, 2, 3))
        return total

    def latents_at(self, snapshot: Sequence[Tensor]) -> list[Latent]:
        """One latent for each image, with tensors of its own; the variables are set to them."""
        with torch.no_grad():
            for t, value in zip(self.tensors(), snapshot, strict=True):
                t.copy_(value)
        batch = self.latent().detach()

        latents = []
        for k, point in enumerate(self.points):
            own = batch[k].map(Tensor.clone)
            latents.append(
                point.replace(
                    styles=own.styles, features=own.features, rgb=own.rgb, noise=own.noise
                )
            )
        return latents


def leaf(t: Tensor) -> Tensor:
    """A copy of a tensor that can be optimized."""
    return t.detach().clone().requires_grad_()
