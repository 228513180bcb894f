"""A pretrained generator: seeds to latents, latents to other spaces, latents to images."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from invert.arguments import MAX_PIXELS, check_psi, check_seed, check_seeds, whole
from invert.errors import FingerprintError, LatentError, UsageError, did_you_mean
from invert.hardware.modes import default_modes, without_autocast
from invert.hardware.passes import passes
from invert.hardware.precision import full_precision
from invert.hardware.processor import lacks_bfloat16
from invert.latents import network_files
from invert.latents.conversion import constant_noise, convert_latent, entry
from invert.latents.early_maps import early_maps
from invert.latents.latent import Latent
from invert.latents.previews import preview_images
from invert.latents.sampled_maps import with_sampled_map
from invert.latents.shapes import Shapes, check_fit, check_index, check_layer, shapes
from invert.latents.spaces import Space, check_conversion
from invert.latents.statistics import Statistics, cached_map_distributions, random_z, w_statistics
from invert.networks.network import Layer, Size, SynthesisNetwork

NoiseMode = Literal["const", "none", "random"]


class Generator:
    """A synthesis network with frozen weights, its spaces and its statistics.

    Images are float RGB [N, 3, H, W], about [−1, 1]. Every latent carries the fingerprint of the
    weights it was made with and is refused by any other generator.
    """

    def __init__(
        self,
        network: SynthesisNetwork,
        *,
        fingerprint: str,
        name: str = "",
        path: Path | None = None,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.fingerprint = fingerprint
        self.name = name
        self.path = path  # of the checkpoint; None for registered networks
        self.autocast: torch.dtype | None = None  # of mixed precision
        self._maps: dict[int, dict[str, Tensor]] = {}

    def half(self) -> Generator:
        """A copy that computes in bfloat16, in half of the memory.

        It is faster on a processor with instructions for bfloat16, and there is a warning on one
        without. Its images are off by about a hundredth of their standard deviation: good enough
        for gradients, not for results. A generator of mixed precision is returned as it is.
        """
        if self.autocast is not None:
            return self
        if self.device.type == "cpu" and lacks_bfloat16():
            warnings.warn(
                "this processor has no bfloat16 instructions; "
                "half precision may be many times slower than full",
                stacklevel=2,
            )
        with default_modes():
            network = copy.deepcopy(self.network).to(torch.bfloat16)
        return Generator(network, fingerprint=self.fingerprint, name=self.name, path=self.path)

    # -- facts

    @property
    def resolution(self) -> int:
        """The longer side of the training images in pixels."""
        return self.network.resolution

    @property
    def image_size(self) -> Size:
        """(height, width) of the training images in pixels."""
        return self.network.image_size

    def cell(self, space: str | Space) -> int:
        """Pixels per side of a cell of the features that `space` starts from: F_i, or F_1."""
        parsed = Space.parse(space)
        check_layer(self.network, parsed)  # the error names the space that was asked for
        return self.resolution // self.layer(parsed.first).size

    def step(self, space: str | Space) -> int:
        """Pixels per side of the least piece of a canvas: one cell, or two where R_i has half."""
        return self.cell(space) * (2 if self.layer(Space.parse(space).first).rgb_is_half else 1)

    @property
    def num_ws(self) -> int:
        """Number of style vectors of W+."""
        return self.network.num_ws

    @property
    def num_layers(self) -> int:
        """Number of convolution layers, each with a noise map."""
        return sum(layer.noise_size is not None for layer in self.network.layers)

    @property
    def z_dim(self) -> int:
        """Width of z."""
        return self.network.mapping.z_dim

    @property
    def w_dim(self) -> int:
        """Width of w."""
        return self.network.mapping.w_dim

    @property
    def c_dim(self) -> int:
        """Width of the class label; 0 for an unconditional generator."""
        return self.network.mapping.c_dim

    @property
    def device(self) -> torch.device:
        """Where the weights are, and latents are moved to."""
        return self.network.start().device

    @property
    def dtype(self) -> torch.dtype:
        """Of weights and latents (mixed precision keeps both in float32)."""
        return self.network.start().dtype

    def layer(self, index: int) -> Layer:
        """Facts of layer 1 … num_ws. Raises :class:`SpaceError` outside."""
        check_index(self.network, Space("W+", index))
        return self.network.layers[index - 1]

    def shapes(self, space: str | Space, features: tuple[int, int] | None = None) -> Shapes:
        """Map sizes of a space, for features of any size in cells."""
        return shapes(self.network, Space.parse(space), features)

    # -- latents

    def mapping(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """w [N, w_dim] from z [N, z_dim]; conditional generators need labels [N, c_dim].

        Gradients flow to z and labels that require them.
        """
        if self.c_dim and label is None:
            raise UsageError(
                f"this generator is conditional: expected a label of {self.c_dim} values"
            )
        if label is not None and tuple(label.shape) != (len(z), self.c_dim):
            raise UsageError(f"expected labels {[len(z), self.c_dim]}, got {list(label.shape)}")
        keep_grad = needs_grad([z] if label is None else [z, label])
        with torch.inference_mode(not keep_grad), without_autocast(), full_precision(not keep_grad):
            w = self.network.mapping(
                z.to(self.device), None if label is None else label.to(self.device)
            )
        return w if keep_grad else w.clone()  # an ordinary tensor again, usable in autograd

    @without_autocast()
    def sample(
        self,
        seeds: int | Iterable[int],
        *,
        psi: float = 1.0,
        label: int | None = None,
        space: str | Space = "W",
        features: Size | None = None,
    ) -> Latent:
        """Latents of seeds, in W by default.

        z is numpy's RandomState(seed).randn(1, z_dim), as in NVIDIA's generate.py. psi is the
        truncation towards the mean w ([K] uses 1, 0.7 or 0.5); in Z spaces it must be 1. `label` is
        a class index.

        Where the generator's latent is a map, F… spaces have an F_i and noise maps of the seed, by
        place (`invert.latent_maps.planes`), of `features` = (height, width) cells or those of
        training; a larger map has the smaller one at its top left. Spaces without features have the
        stored draw of F_i, as other generators have their constant.
        """
        seeds, psi = check_seeds(seeds), check_psi(psi)
        target = Space.parse(space)
        check_layer(self.network, target)
        sampled = target.layer is not None and self.network.latent_map is not None
        if features is not None and not sampled:
            raise UsageError(
                f"F of any size can be sampled where the generator's latent is a map, in F… spaces;"
                f" {self.name or 'this generator'} has a learned constant"
                if self.network.latent_map is None
                else f"{target} has no features; sample in FNZ{self.network.first}, for example"
            )

        # z and the label.
        z = torch.from_numpy(
            np.concatenate([np.random.RandomState(s).randn(1, self.z_dim) for s in seeds])
        )
        z = z.to(self.device, self.dtype)
        c = self._labels(label, len(seeds))

        if target.base == "Z":
            if psi != 1:
                raise UsageError(
                    f"truncation psi moves w, so a point of {target} cannot have it; use W or psi 1"
                )
            point = self._make(Space("Z"), z, label=c)
            if sampled:
                point = with_sampled_map(self.network, point, seeds, target, features)
            return self.convert(point, target)

        # Truncation: w_avg + psi · (w − w_avg).
        w = self.mapping(z, c)
        if psi != 1:
            mean = self.w_avg
            w = mean + psi * (w - mean)
        point = self._make(Space("W"), w)
        if sampled:
            point = with_sampled_map(self.network, point, seeds, target, features)
        return self.convert(point, target)

    def random_w(self, count: int, random: torch.Generator) -> Tensor:
        """w [N, w_dim] of random z, and of random classes of a conditional generator."""
        return self.mapping(*random_z(self.network, count, random))

    def early_maps(
        self,
        styles: Tensor,
        layer: int,
        noise: Sequence[Tensor | None] | None = None,
        start: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """F_i and R_i of styles [N, n, w_dim] for i = `layer`; the last one stands for any missing.

        `noise` holds maps of the layers before i, by default those saved with the weights. `start`
        [N, C, h, w] is the input of the first layer, by default the constant: a generator whose
        latent is a map has other ones (`SynthesisNetwork.sampled_start`). R_i is None where there
        is none. Gradients flow to the styles.
        """
        check_layer(self.network, Space("W+", layer))
        with without_autocast():
            return early_maps(self.network, styles.unbind(1), layer, noise, start)

    def latent(self, ws: Tensor) -> Latent:
        """The point of W [N, w_dim] or W+ [N, num_ws, w_dim] in a tensor."""
        if ws.ndim not in (2, 3):
            raise LatentError(f"expected [N, w_dim] or [N, num_ws, w_dim], got {list(ws.shape)}")
        latent = self._make(Space("W" if ws.ndim == 2 else "W+"), ws.to(self.device, self.dtype))
        check_fit(self.network, latent)
        return latent

    def check(self, latent: Latent, *, max_pixels: int = MAX_PIXELS) -> Shapes:
        """The sizes of a latent of this generator, whose image may have `max_pixels`.

        Raises :class:`FingerprintError` for a latent of another one, :class:`LatentError` for parts
        of the wrong sizes.
        """
        if latent.fingerprint != self.fingerprint:
            origin = latent.metadata.get("generator", "")
            raise FingerprintError(
                f"expected a latent of {self.name or 'this generator'} ({self.fingerprint[:12]}), "
                f"got one of {origin or 'another'} ({latent.fingerprint[:12]}); "
                "load that generator with --network, or use --force (Generator.adopt)"
            )
        return check_fit(self.network, latent, max_pixels=max_pixels)

    def adopt(self, latent: Latent, *, max_pixels: int = MAX_PIXELS) -> Latent:
        """The latent claimed for this generator whatever made it; sizes must still fit."""
        check_fit(self.network, latent, max_pixels=max_pixels)
        return self.with_reference(latent.replace(fingerprint=self.fingerprint))

    def with_reference(self, latent: Latent) -> Latent:
        """The latent with this generator's name and file in its metadata instead of others."""
        others = {k: v for k, v in latent.metadata.items() if k != network_files.KEY}
        return latent.replace(metadata={**others, **self.reference})

    @property
    def reference(self) -> dict[str, Any]:
        """What latents remember of the generator: its name, and its file if it has one."""
        return {"generator": self.name, **network_files.reference(self.path)}

    def convert(self, latent: Latent, space: str | Space) -> Latent:
        """The same image as a point of `space`.

        The conversion is exact, or a :class:`SpaceError` says what would be lost. Noise maps that
        are added are the generator's constant ones. Style maps start as 1×1, constant over space.
        """
        target = Space.parse(space)
        sizes = self.check(latent)
        check_layer(self.network, target)
        check_conversion(latent.space, target)
        latent = latent.to(self.device, self.dtype)
        if target == latent.space:
            return latent
        keep_grad = needs_grad(latent.tensors())
        with torch.inference_mode(not keep_grad), without_autocast(), full_precision(not keep_grad):
            result = convert_latent(self.network, latent, target, sizes)
        return result if keep_grad else result.map(Tensor.clone)

    # -- images

    def render(self, latent: Latent, noise: NoiseMode = "const", *, seed: int = 0) -> Tensor:
        """Images [N, 3, H, W] of a latent: in one pass on a GPU, each alone on a CPU.

        On a CPU batches would change pixels. `noise` is used where the latent has no noise maps of
        its own; "random" draws them from `seed`. Gradients flow to latents that require them;
        images without gradients are in full precision (`invert.hardware.precision`). A latent of
        forward-mode AD that requires no gradient gives images without a tangent.
        """
        sizes = self.check(latent)
        if noise not in ("const", "none", "random"):
            raise UsageError(f"noise is 'const', 'none' or 'random', got {noise!r}")

        keep_grad = needs_grad(latent.tensors())
        with torch.inference_mode(not keep_grad), full_precision(not keep_grad):
            latent = latent.to(self.device, self.dtype)
            maps = self._noise(latent, noise, sizes, seed)
            parts = passes(self.device, len(latent))
            if len(parts) == 1:  # indexing would cost a zero-filled gradient per tensor
                image = self._render_pass(latent, maps)
            else:
                image = torch.cat(
                    [self._render_pass(latent[part], [m[part] for m in maps]) for part in parts]
                )
        return image if keep_grad else image.clone()

    @property
    def preview_sizes(self) -> tuple[int, ...]:
        """The sizes that :meth:`preview` can make, ascending."""
        return tuple(self.network.preview_stops)

    def preview(self, latent: Latent, size: int, *, one_pass: bool = False) -> Tensor:
        """Smaller images [N, 3, h, w] of a latent, by the layers up to `size` alone.

        `size`, one of `preview_sizes`, is the longer side in pixels where images have the training
        size. A StyleGAN2 gives its RGB sum of that resolution; a MobileStyleGAN runs its remaining
        layers at that resolution. Either is near to the downscaled image, not equal to it. Points
        are computed one by one, or all in `one_pass`, which is faster and rounds otherwise.
        Gradients flow as in :meth:`render`. Raises :class:`UsageError` for another size.
        """
        sizes = self.check(latent)
        keep_grad = needs_grad(latent.tensors())
        with torch.inference_mode(not keep_grad), full_precision(not keep_grad):
            latent = latent.to(self.device, self.dtype)
            maps = self._noise(latent, "const", sizes, 0)

            # All points at once, or each alone.
            with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
                if one_pass or len(latent) == 1:
                    image = preview_images(self.network, latent, maps, size)
                else:
                    parts = (
                        preview_images(self.network, latent[k], [m[k : k + 1] for m in maps], size)
                        for k in range(len(latent))
                    )
                    image = torch.cat(list(parts))
            image = image.to(self.dtype)
        return image if keep_grad else image.clone()

    def _noise(self, latent: Latent, mode: NoiseMode, sizes: Shapes, seed: int) -> list[Tensor]:
        n = len(latent)
        if latent.noise is not None:
            return list(latent.noise)
        if mode == "random":
            generator = torch.Generator().manual_seed(check_seed(seed))
            return [
                torch.randn(n, 1, h, w, generator=generator, dtype=torch.float32).to(
                    self.device, self.dtype
                )
                for h, w in sizes.noise
            ]
        maps = constant_noise(self.network, latent.space, sizes, n)
        return [torch.zeros_like(m) for m in maps] if mode == "none" else maps

    def _render_pass(self, latent: Latent, noise: list[Tensor]) -> Tensor:
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
            first, x, rgb, styles = entry(self.network, latent)
            image = self.network.synthesize(x, rgb, styles, [*noise, None], first)
        return image.to(self.dtype)

    # -- statistics

    @cached_property
    def w_avg(self) -> Tensor:
        """The mean w [w_dim] stored with the weights; estimated from samples where none is."""
        stored = self.network.w_avg
        return stored if stored is not None else self.statistics().w_mean

    def statistics(self) -> Statistics:
        """Mean and spread of W and the sorted values of its samples; computed once."""
        return self._statistics

    @cached_property
    def _statistics(self) -> Statistics:
        with default_modes():  # they are kept
            return w_statistics(self.network)

    def target_distribution(
        self,
        part: Literal["styles", "features", "rgb"],
        layer: int | None = None,
        *,
        cache_dir: str | Path | None = None,
    ) -> Tensor:
        """Ascending values of a part over 4096 sampled latents ([S] 7.2), fewer for large maps.

        F_i and R_i need their layer. Their values are computed on first use and kept in the user's
        cache. Raises :class:`UsageError` for a part that does not exist here.
        """
        if part not in ("styles", "features", "rgb"):
            near = did_you_mean(str(part), ("styles", "features", "rgb"))
            raise UsageError(f"part is styles, features or rgb, got {part!r}{near}")
        if part == "styles":
            return self.statistics().styles
        if layer is None:
            raise UsageError(f"the distribution of {part} depends on the layer; say which")

        # Both maps of a layer are sampled at once.
        check_layer(self.network, Space("W+", layer))
        folder = None if cache_dir is None else Path(cache_dir)
        if layer not in self._maps:
            with default_modes():  # they are kept
                self._maps[layer] = {
                    k: v.to(self.device, self.dtype)
                    for k, v in cached_map_distributions(
                        self.network, layer, self.fingerprint, folder
                    ).items()
                }

        if part not in self._maps[layer]:
            raise UsageError(f"this generator has no {part} at layer {layer}")
        return self._maps[layer][part]

    def _make(self, space: Space, styles: Tensor, label: Tensor | None = None) -> Latent:
        return Latent(space, styles, self.fingerprint, label=label, metadata=self.reference)

    def _labels(self, label: int | None, n: int) -> Tensor | None:
        if not self.c_dim:
            if label is not None:
                raise UsageError("this generator is not conditional: it takes no label")
            return None
        if label is None or whole(label) is None or not 0 <= label < self.c_dim:
            raise UsageError(
                f"this generator is conditional: expected a label in [0, {self.c_dim}), "
                f"got {label}; name one with --class"
            )
        return (
            torch.eye(self.c_dim, device=self.device, dtype=self.dtype)[label].expand(n, -1).clone()
        )


def needs_grad(tensors: Iterable[Tensor]) -> bool:
    """Whether gradients are to flow to one of the tensors."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
