"""A StyleGAN2 generator as parameters: the raw tensors of a checkpoint, in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from invert.checkpoints.checkpoint import stylegan2_config
from invert.errors import UsageError
from invert.latent_maps.blurred_noise import LearnedMap, convolve, gaussian_kernels
from invert.latent_maps.filtered_noise import LatentMap
from invert.latent_maps.kinds import latent_map_from_config
from invert.networks.stylegan2 import StyleGAN2

FIXED = ("mapping.w_avg", "noise_const")  # endings of tensors that are no parameters
LOG_SIGMAS = "latent_map.log_sigmas"  # the parameter of a learned latent map


class TrainableGenerator:
    """The tensors of a checkpoint, of which all but fixed noise and mean w are parameters.

    What computes is :class:`StyleGAN2` itself, built anew from the parameters for every step: it
    folds the gains of the equalized learning rate [ProGAN] into the weights, and gradients pass
    through the folding. So what is trained is what is saved and rendered.

    `config` is that of the checkpoint. With a latent map in it, F_i is drawn, and the tensor in its
    place is one draw that stays as it is.
    """

    def __init__(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
        self.config = dict(config)
        drawn = self.config.get("latent_map")
        self.latent_map: LatentMap | None = None if drawn is None else latent_map_from_config(drawn)

        # Parameters, and what stays.
        fixed = (*FIXED, "const") if self.latent_map else FIXED
        self.fixed = {k: v.detach().clone() for k, v in tensors.items() if k.endswith(fixed)}
        self.parameters = {
            k: nn.Parameter(v.detach().clone()) for k, v in tensors.items() if k not in self.fixed
        }
        if isinstance(self.latent_map, LearnedMap):
            sigmas = torch.tensor(self.latent_map.learned_sigmas, dtype=torch.float32)
            self.parameters[LOG_SIGMAS] = nn.Parameter(sigmas.log())

    def network(self, parameters: Mapping[str, Tensor] | None = None) -> StyleGAN2:
        """The network of the parameters, or of others of the same names; differentiable in them."""
        chosen = self.parameters if parameters is None else parameters
        weights = {k: v for k, v in chosen.items() if k != LOG_SIGMAS}
        network = StyleGAN2({**self.fixed, **weights}, **self.config)
        return network.to(self.fixed["mapping.w_avg"].device)  # the filters, which it makes itself

    def start(
        self, network: StyleGAN2, count: int, random: torch.Generator, sigmas: Tensor | None = None
    ) -> Tensor:
        """F_i of `count` samples: the learned constant, or draws of the latent map.

        `sigmas` are the logarithms of a learned map's σ; by default those in training.
        """
        if not isinstance(self.latent_map, LearnedMap):
            return network.sampled_start(count, random)

        # A learned map: kernels of the σ in training, which the gradient reaches.
        log_sigmas = self.parameters[LOG_SIGMAS] if sigmas is None else sigmas
        limit, margin = self.latent_map.sigma_max, self.latent_map.margin
        height, width = (side + 2 * margin for side in network.start().shape[2:])
        shape = (count, self.latent_map.channels, height, width)
        noise = torch.randn(shape, generator=random, dtype=torch.float32)
        kernels = gaussian_kernels(log_sigmas.exp().clamp(max=limit), margin)
        return convolve(noise.to(kernels), kernels)

    def checkpoint(
        self, parameters: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, config) as checkpoints hold them, on the CPU; of these parameters or others."""
        chosen = dict(self.parameters if parameters is None else parameters)
        config = dict(self.config)

        if isinstance(self.latent_map, LearnedMap):
            sigmas = chosen.pop(LOG_SIGMAS).detach().exp().clamp(max=self.latent_map.sigma_max)
            config["latent_map"] = replace(
                self.latent_map, learned_sigmas=tuple(sigmas.tolist())
            ).config()
        tensors = {k: v.detach().cpu().clone() for k, v in {**self.fixed, **chosen}.items()}
        return dict(sorted(tensors.items())), config

    def to(self, device: torch.device) -> TrainableGenerator:
        """Move everything to a device; returns itself."""
        self.fixed = {k: v.to(device) for k, v in self.fixed.items()}
        self.parameters = {
            k: nn.Parameter(v.detach().to(device)) for k, v in self.parameters.items()
        }
        return self

    def load(self, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
        """Take over the mapping network, the layers that another network has too, and how it is
        computed by its `config`; other layers and the latent map stay.

        So a plain network becomes the start of one whose F_i is drawn, as in [S] 8.2. Raises
        :class:`UsageError` when the two have no layer in common, or one of other shapes.
        """
        self.check_fits(tensors)
        with torch.no_grad():
            for name, own in self.parameters.items():
                if name in tensors and tensors[name].shape == own.shape:  # learned σ may not fit
                    own.copy_(tensors[name])
            if "mapping.w_avg" in tensors:
                self.fixed["mapping.w_avg"].copy_(tensors["mapping.w_avg"])
        self.config |= computed_by(config)

    def check_fits(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise :class:`UsageError` unless these have this mapping network, and layers in common
        that are all of one shape.
        """
        own = {k: v for k, v in self.parameters.items() if k.startswith(("mapping.", "synthesis."))}
        for name, tensor in own.items():
            if name in tensors and tensors[name].shape != tensor.shape:
                raise UsageError(
                    f"expected a network of the same widths, its {name} is "
                    f"{list(tensors[name].shape)} and that of the new one {list(tensor.shape)}; "
                    "leave out --channel-base and --channel-max, or begin with another network"
                )

        # A part of a mapping network would be none.
        odd = [k for k in own.keys() ^ tensors.keys() if k.startswith("mapping.fc")]
        odd += [k for k in tensors if k.startswith("mapping.embed.")]
        if odd:
            raise UsageError(
                f"expected a network with the same mapping network and no classes, {min(odd)} is "
                "in one of the two alone; begin with another network"
            )
        if not any(k.startswith("synthesis.") and k in tensors for k in own):
            raise UsageError("expected a network with layers in common; give its size and space")


def computed_by(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a checkpoint's config that says how its layers are computed."""
    return stylegan2_config(**{name: config[name] for name in stylegan2_config()})


def styles_of(
    network: StyleGAN2, count: int, random: torch.Generator, mixing: float
) -> tuple[Tensor, Tensor]:
    """(w [N, w_dim], styles [N, num_ws, w_dim]) of random z, with style mixing [K].

    With probability `mixing` the styles of a batch come from a second w from a random layer on.
    """
    start = network.start()
    z = torch.randn(count, network.mapping.z_dim, generator=random, dtype=torch.float32)
    w = network.mapping(z.to(start))
    styles = w[:, None].expand(-1, network.num_ws, -1)
    if mixing <= 0:
        return w, styles

    # Where the second w begins: after the last layer in batches that are not mixed.
    first = torch.randint(1, network.num_ws, (1,), generator=random)
    mixed = torch.rand(1, generator=random, dtype=torch.float32) < mixing
    later = ((torch.arange(network.num_ws) >= first) & mixed).to(start.device)
    other = network.mapping(torch.randn(z.shape, generator=random, dtype=torch.float32).to(start))
    return w, torch.where(later[None, :, None], other[:, None], styles)


def noise_of(network: StyleGAN2, first: int, count: int, random: torch.Generator) -> list[Tensor]:
    """Random noise maps [N, 1, H, W] of the layers from `first` on."""
    sizes = [network.noise_const(i).shape[1:] for i in range(first, network.num_ws)]
    drawn = [torch.randn(count, *s, generator=random, dtype=torch.float32) for s in sizes]
    return [noise.to(network.start()) for noise in drawn]
