"""Training of a StyleGAN2 ([K]), also of one whose F_i is drawn instead of learned ([S] chapter 8).

A step is that of StyleGAN2-ADA: the generator's loss, its path length penalty every fourth time,
the discriminator's loss, its R1 penalty every sixteenth time. Penalties have steps of Adam of their
own, and count as many times as they are rare (lazy regularization).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from invert import interrupts
from invert.arguments import check_integer
from invert.checkpoints.checkpoint import stylegan2_config
from invert.errors import UsageError
from invert.gan.augmentation import adapted, augment
from invert.gan.crops import Crops
from invert.gan.discriminator import Discriminator
from invert.gan.losses import (
    discriminator_loss,
    generator_loss,
    path_lengths,
    path_penalty,
    r1_penalty,
)
from invert.gan.settings import GanSettings
from invert.gan.trainable_generator import TrainableGenerator, noise_of, styles_of
from invert.hardware.processor import is_faster_in_bfloat16
from invert.latent_maps.kinds import new_latent_map
from invert.networks.initialize import untrained_stylegan2, width_at
from invert.networks.stylegan2 import StyleGAN2

W_AVG_DECAY = 0.995  # of the mean w per step
ADA_EVERY = 4  # steps between two changes of the augmentations' probability
READ_SECONDS = 1.0  # between two looks at the losses, for which a GPU has to be waited for
SEEDS = 1 << 20  # steps of one seed have random numbers of their own
MAX_STEPS = 1_000_000_000


@dataclass(frozen=True)
class GanStep:
    """What a step found. Seconds are those of training, over all sittings."""

    step: int
    images: int  # real ones that training has seen
    generator: float
    discriminator: float
    r1: float  # the last one measured: ‖∇D‖², without γ/2
    path_length: float  # running mean
    probability: float  # of augmentations
    seconds: float
    images_per_second: float


class GanTraining:
    """A training; :mod:`invert.gan.training_state` lets it stop after any step.

    generator      of which the parameters are trained
    average        the moving average of its parameters, which is the result
    probability    of augmentations, on the device
    path_mean      the running mean of path lengths, on the device
    """

    def __init__(
        self, settings: GanSettings, crops: Crops, device: torch.device | str = "cpu"
    ) -> None:
        s, self.settings, self.crops = settings, settings, crops
        self.device = torch.device(device)
        faster = self.device.type != "cpu" or is_faster_in_bfloat16()
        self.half = faster if s.half is None else s.half

        # The two networks, and the average of the first.
        self.generator = new_generator(s).to(self.device)
        self.average = {k: p.detach().clone() for k, p in self.generator.parameters.items()}
        self.discriminator = Discriminator(
            s.resolution,
            channel_base=s.channel_base,
            channel_max=s.channel_max,
            group=s.group,
            seed=s.seed + 1,
        ).to(self.device)

        # Adam of each, its rate and decay adjusted for the extra steps of lazy regularization.
        self.generator_adam = lazy_adam(self.generator.parameters.values(), s.lr, s.path_every)
        self.discriminator_adam = lazy_adam(self.discriminator.parameters(), s.lr, s.r1_every)

        # State on the device.
        self.probability = torch.zeros((), device=self.device, dtype=torch.float32)
        self.path_mean = torch.zeros((), device=self.device, dtype=torch.float32)
        self.r1 = torch.zeros((), device=self.device, dtype=torch.float32)
        self.signs = torch.zeros(
            (), device=self.device, dtype=torch.float32
        )  # summed since the last adaptation

        self.step = 0
        self.seconds = 0.0
        self.start: str | None = None  # the file that training began from
        self.data: str | None = None  # `data_digest` of what the crops are of, where it is known

    @property
    def images(self) -> int:
        """Real images that training has seen."""
        return self.step * self.settings.batch

    def random(self, step: int) -> torch.Generator:
        """The random numbers of a step: those of the CPU, so that every device trains alike."""
        return torch.Generator().manual_seed(self.settings.seed * SEEDS + step)

    def run(
        self,
        *,
        steps: int | None,
        seconds: float | None,
        callback: Callable[[GanStep], object],
    ) -> None:
        """Train until `steps` or `seconds` are reached in all, whichever is first.

        The callback is called about every second and after the last step. A postponed interrupt is
        raised between two steps.
        """
        if steps is None and seconds is None:
            raise UsageError("expected a number of steps or a time to train for")
        if steps is not None:
            check_integer("steps", steps, 0, MAX_STEPS)
        began = time.perf_counter() - self.seconds
        read_step, read_seconds = self.step, self.seconds

        while (steps is None or self.step < steps) and (seconds is None or self.seconds < seconds):
            interrupts.check()
            losses = self.update()
            self.seconds = time.perf_counter() - began

            # What it found, now and then.
            over = self.step == steps or (seconds is not None and self.seconds >= seconds)
            if over or self.seconds - read_seconds > READ_SECONDS:
                elapsed = max(self.seconds - read_seconds, 1e-9)
                speed = (self.step - read_step) * self.settings.batch / elapsed
                callback(self.told(losses, speed))
                self.seconds = time.perf_counter() - began
                read_step, read_seconds = self.step, self.seconds

    def told(self, losses: Losses, images_per_second: float) -> GanStep:
        """A step as numbers; raises :class:`UsageError` where they are not finite."""
        # The device is waited for here, and here alone.
        found = torch.stack([*losses, self.r1, self.path_mean, self.probability]).tolist()
        if not all(math.isfinite(value) for value in found):
            raise UsageError(
                f"a loss is not finite at step {self.step}; begin again from the network written "
                "last (--start) at a lower rate (--lr)"
            )

        g, d, r1, path_length, probability = found
        return GanStep(
            step=self.step,
            images=self.images,
            generator=g,
            discriminator=d,
            r1=r1,
            path_length=path_length,
            probability=probability,
            seconds=self.seconds,
            images_per_second=images_per_second,
        )

    def update(self) -> Losses:
        """One step. It depends on the state and the step alone, and never waits for the device."""
        s, random = self.settings, self.random(self.step)

        # The generator, and how evenly its images follow w.
        self.discriminator.requires_grad_(False)
        generator_value = self.improve_generator(random)
        if s.path_weight and self.step % s.path_every == 0:
            self.regularize_generator(random)

        # The discriminator, and how steep it is at real images.
        self.discriminator.requires_grad_(True)
        real = self.crops.batch(self.images, s.batch).to(self.device)
        discriminator_value = self.improve_discriminator(real, random)
        if s.r1_gamma and self.step % s.r1_every == 0:
            self.regularize_discriminator(real, random)

        self.step += 1
        self.follow()
        self.adapt()
        return Losses(generator_value, discriminator_value)

    def improve_generator(self, random: torch.Generator) -> Tensor:
        """A step of the generator against the discriminator."""
        s, network = self.settings, self.generator.network()
        w, styles = styles_of(network, s.batch, random, s.mixing)
        self.generator.fixed["mapping.w_avg"].lerp_(w.detach().mean(0), 1 - W_AVG_DECAY)

        loss = generator_loss(self.judge(self.paint(network, styles, random), random))
        descend(loss, self.generator_adam)
        return loss.detach()

    def regularize_generator(self, random: torch.Generator) -> None:
        """A step of the generator towards even path lengths, on a smaller batch."""
        s, network = self.settings, self.generator.network()
        _, styles = styles_of(network, max(1, s.batch // s.path_shrink), random, s.mixing)
        images = self.paint(network, styles, random)

        lengths = path_lengths(images, styles, random)
        penalty, self.path_mean = path_penalty(lengths, self.path_mean)
        descend(penalty * (s.path_weight * s.path_every), self.generator_adam)

    def improve_discriminator(self, real: Tensor, random: torch.Generator) -> Tensor:
        """A step of the discriminator on generated images and real ones."""
        s = self.settings
        with torch.no_grad():
            network = self.generator.network()
            _, styles = styles_of(network, s.batch, random, s.mixing)
            fake = self.paint(network, styles, random)

        # Two passes: the minibatch standard deviation tells generated batches from real ones.
        fake_logits, real_logits = self.judge(fake, random), self.judge(real, random)
        loss = discriminator_loss(real_logits, fake_logits)
        descend(loss, self.discriminator_adam)
        self.signs += real_logits.detach().sign().mean()
        return loss.detach()

    def regularize_discriminator(self, real: Tensor, random: torch.Generator) -> None:
        """A step of the discriminator towards small gradients at real images."""
        s = self.settings
        images = real.requires_grad_()
        self.r1 = penalty = r1_penalty(self.judge(images, random), images)
        descend(penalty * (s.r1_gamma / 2 * s.r1_every), self.discriminator_adam)
        self.r1 = penalty.detach()

    def paint(self, network: StyleGAN2, styles: Tensor, random: torch.Generator) -> Tensor:
        """Images of styles [N, num_ws, w_dim], with random noise and F_i."""
        first, count = self.settings.first, len(styles)
        x = self.generator.start(network, count, random)
        noise = noise_of(network, first, count, random)
        with self.autocast():
            rows = styles[:, first - 1 :].unbind(1)
            return network.synthesize(x, None, rows, noise, first).float()

    def judge(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Logits [N, 1] of augmented images."""
        if self.settings.ada_target:
            images = augment(images, self.probability, random)
        with self.autocast():
            return self.discriminator(images).float()

    def autocast(self) -> torch.autocast:
        """bfloat16 in convolutions, if training has it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)

    def follow(self) -> None:
        """Move the average towards the parameters; it is slower the more training has seen."""
        s = self.settings
        half_life = max(min(s.half_life, self.images * s.ema_ramp), 1e-8)
        decay = 0.5 ** (s.batch / half_life)
        parameters = [self.generator.parameters[name].detach() for name in self.average]
        torch._foreach_lerp_(list(self.average.values()), parameters, 1 - decay)

    def adapt(self) -> None:
        """Now and then, move the probability of augmentations."""
        s = self.settings
        if s.ada_target and self.step % ADA_EVERY == 0:
            signs = self.signs / ADA_EVERY
            self.probability = adapted(self.probability, signs, s.ada_target, ADA_EVERY * s.batch)
            self.signs = torch.zeros_like(self.signs)

    def checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, config) of the averaged generator, as checkpoints hold them."""
        return self.generator.checkpoint(self.average)

    @torch.no_grad()
    def samples(self, count: int, seed: int) -> Tensor:
        """Images [count, 3, R, R] of the averaged generator, about [−1, 1], on the CPU."""
        random = torch.Generator().manual_seed(seed)
        network = self.generator.network(self.average)

        pictures = []
        for start in range(0, count, self.settings.batch):
            n = min(self.settings.batch, count - start)
            _, styles = styles_of(network, n, random, 0.0)
            first = self.settings.first
            sigmas = self.average.get("latent_map.log_sigmas")
            x = self.generator.start(network, n, random, sigmas)
            noise = noise_of(network, first, n, random)
            rows = styles[:, first - 1 :].unbind(1)
            pictures.append(network.synthesize(x, None, rows, noise, first).cpu())
        return torch.cat(pictures)

    def begin_from(
        self, tensors: Mapping[str, Tensor], config: Mapping[str, Any], name: str
    ) -> None:
        """Take over the layers that a network and this one have in common.

        Raises :class:`UsageError` as :meth:`TrainableGenerator.load` does.
        """
        self.generator.load(tensors, config)
        self.average = {k: p.detach().clone() for k, p in self.generator.parameters.items()}
        self.start = name


class Losses(NamedTuple):
    """Of one step, on the device: nobody waits for them until somebody reads them."""

    generator: Tensor
    discriminator: Tensor


def new_generator(s: GanSettings) -> TrainableGenerator:
    """An untrained generator of the settings."""
    config: dict[str, Any] = stylegan2_config()

    # The distribution of F_i, where it is drawn.
    latent_map = None
    if s.first > 1:
        channels = width_at(s.start_size, s.channel_base, s.channel_max)
        latent_map = new_latent_map(s.latent, channels, s.start_size)
        config["latent_map"] = latent_map.config()

    tensors = untrained_stylegan2(
        s.resolution,
        channel_base=s.channel_base,
        channel_max=s.channel_max,
        z_dim=s.z_dim,
        w_dim=s.w_dim,
        mapping_layers=s.mapping_layers,
        first=s.first,
        latent_map=latent_map,
        seed=s.seed,
    )
    return TrainableGenerator(tensors, config)


def lazy_adam(parameters: Iterable[Tensor], lr: float, every: int) -> torch.optim.Adam:
    """Adam for a loss at every step and a penalty at every `every`-th ([K] appendix B).

    n steps and one more become n + 1, so rate and decay are taken to the power n / (n + 1).
    """
    share = every / (every + 1)
    return torch.optim.Adam(list(parameters), lr=lr * share, betas=(0.0, 0.99**share), eps=1e-8)


def descend(loss: Tensor, adam: torch.optim.Adam) -> None:
    """One step of Adam along the gradient of a loss."""
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()
