"""Training of an encoder on generated images and warped ones: [S] algorithm 3 with image terms."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invert import interrupts
from invert.encoders.batches import Batch, Batches
from invert.encoders.descent import descend
from invert.encoders.encoder import Encoder, new_encoder
from invert.encoders.encoding import Encoding
from invert.encoders.held_out import HeldOut
from invert.encoders.image_terms import ImageTerms, total
from invert.encoders.rendering import Renderer
from invert.encoders.samples import Samples
from invert.encoders.settings import EncoderSettings
from invert.encoders.spread import measure_spread
from invert.errors import UsageError
from invert.generator import Generator
from invert.images.images import area_downscale
from invert.latents.distributions import ascending, group_means
from invert.metrics.perceptual import PerceptualDistance

HELD_OUT_SEED = 1  # samples of this seed are never trained on
STATISTICS_COUNT = 256  # samples behind the mean and spread of F_i
READ_SECONDS = 1.0  # between two looks at the losses, for which a GPU has to be waited for


@dataclass(frozen=True)
class EncoderStep:
    """What an update found: its loss, the shares of variance that its samples missed, the sum of
    its image terms (None where it had none).

    `held_out` is filled on the steps that test. Seconds are those of training, over all sittings.
    """

    step: int
    loss: float
    features: float
    styles: float
    images: float | None
    rate: float
    seconds: float
    images_per_second: float  # seen by the encoder, since the last step that was told
    held_out: dict[str, float] = field(default_factory=dict)


class Losses(NamedTuple):
    """Of one update, on the device: nobody waits for them until somebody reads them."""

    loss: Tensor
    missed: dict[str, Tensor]
    images: Tensor | None
    norm: Tensor  # of the gradient
    rate: float


class EncoderTraining:
    """A training run; :mod:`invert.encoders.training_state` lets it stop after any step."""

    def __init__(
        self,
        generator: Generator,
        layer: int,
        settings: EncoderSettings,
        distances: Iterable[PerceptualDistance],
    ) -> None:
        self.generator, self.layer, self.settings = generator, layer, settings
        self.device = generator.device
        distances = list(distances)
        half = settings.half
        self.half = self.device.type != "cpu" if half is None else half

        # The backbone's initial weights come from the CPU's global generator, whatever the device.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(settings.seed)
            self.model = new_encoder(generator, layer, settings.trunk, settings.passes).to(
                generator.device, generator.dtype
            )

        # A refinement is trained alone; the encoder before it stays as it is.
        self.trained: nn.Module = self.model.refinement or self.model

        # Samples, and where F_i lies.
        seed, side = 2 * settings.seed, self.model.shape.input_side
        self.samples = Samples(generator, layer, seed)
        self.spread = measure_spread(self.samples, STATISTICS_COUNT)
        self.model.feature_mean.copy_(self.spread.feature_mean)
        self.model.feature_std.copy_(self.spread.feature_std)

        # What images are compared by.
        painter = generator.half() if self.half else generator
        self.batches = Batches(self.samples, Renderer(painter, layer, side), settings)
        shown = min(settings.image_side or side, side)
        self.renderer = Renderer(painter, layer, shown, previews=settings.previews)
        if settings.previews:
            check_previews(self.renderer)
        self.terms = ImageTerms(distances, half=self.half)
        self.held_out = HeldOut(
            Samples(generator, layer, seed + HELD_OUT_SEED),
            self.spread,
            side,
            settings.held_out,
            settings.held_out_compared,
            distances,
        )
        self.distribution: Tensor | None = None  # of F_i, in as many groups as F_i has values
        if settings.unknown and settings.dist_weight:
            values = self.spread.feature_mean.numel() * math.prod(generator.layer(layer).cells)
            ordered = generator.target_distribution("features", layer)
            self.distribution = group_means(ordered, values)

        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.trained.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )
        self.step = 0
        self.seconds = 0.0
        self.seen = 0  # images that the encoder saw in this sitting
        self.start: str | None = None  # the file that `begin_from` was told

    def begin_from(self, encoder: Encoder, name: str) -> None:
        """Take the weights of an encoder of this generator and layer.

        Where only one of both has a refinement, it is left out. Raises :class:`UsageError` for an
        encoder of another shape, and for a refinement of another one.
        """
        shape, mine = encoder.shape, self.model.shape
        without = [replace(each, passes=0, slope_side=0) for each in (shape, mine)]
        if without[0] != without[1] or (shape.passes and mine.passes and shape != mine):
            passes = f" and a refinement of {shape.passes} passes" if shape.passes else ""
            raise UsageError(
                f"{name}: an encoder of layer {shape.layer} with {shape.trunk}{passes}, "
                f"expected layer {self.layer} with {mine.trunk}"
            )
        for model in (self.model, self.average):
            own = model.state_dict()
            taken = {key: t for key, t in encoder.state_dict().items() if key in own}
            model.load_state_dict({**own, **taken})
        self.start = name

    @property
    def result(self) -> Encoder:
        """The encoder with averaged weights, ready to use."""
        self.average.fingerprint = self.generator.fingerprint
        return self.average.eval()

    def run(
        self,
        *,
        steps: int | None,
        seconds: float | None,
        callback: Callable[[EncoderStep], object],
        test_every: int,
    ) -> None:
        """Train until `steps` or `seconds` are reached in all, whichever is first.

        The rate falls to zero over the steps, or over the seconds where no steps are given.
        Seconds are all that pass in here: updates, tests and the callback, which is called about
        every second, on the steps that test and on the last. A postponed interrupt is raised
        between two steps.
        """
        if steps is None and seconds is None:
            raise UsageError("expected a number of steps or a time to train for")
        if self.settings.passes and self.start is None:
            raise UsageError("a refinement belongs to an encoder; say to which (--init)")
        began = time.perf_counter() - self.seconds
        read_images, read_seconds = self.seen, self.seconds

        while (steps is None or self.step < steps) and (seconds is None or self.seconds < seconds):
            interrupts.check()
            losses = self.update(share_of(self.step, steps, self.seconds, seconds))
            self.seconds = time.perf_counter() - began

            # What it found, now and then.
            over = self.step == steps or (seconds is not None and self.seconds >= seconds)
            tests = over or self.step % test_every == 0
            if tests or self.seconds - read_seconds > READ_SECONDS:
                speed = (self.seen - read_images) / (self.seconds - read_seconds)
                callback(self.told(losses, speed, tests))
                self.seconds = time.perf_counter() - began
                read_images, read_seconds = self.seen, self.seconds

    def told(self, losses: Losses, images_per_second: float, tests: bool) -> EncoderStep:
        """A step as numbers. Raises :class:`UsageError` where they are not finite."""
        # The device is waited for here, and here alone.
        loss = losses.loss.item()
        if not math.isfinite(loss) or not math.isfinite(losses.norm.item()):
            raise UsageError(
                f"the loss or its gradient is not finite at step {self.step}; "
                "begin again from the encoder written last (--init) at a lower rate (--lr)"
            )

        return EncoderStep(
            self.step,
            loss,
            losses.missed["features"].item(),
            losses.missed["styles"].item(),
            None if losses.images is None else losses.images.item(),
            losses.rate,
            self.seconds,
            images_per_second,
            self.test() if tests else {},
        )

    def update(self, share: float) -> Losses:
        """One step of Adam; `share` of the run lies behind it.

        It depends on the state, the step and the share alone, and never waits for the device.
        """
        s, batch = self.settings, self.batches[self.step]
        encoding, early = self.find(batch)

        # F, R and styles in units of their variance.
        known = encoding.rows(slice(batch.warped, None))
        missed = self.spread.missed(known, batch.points.rows(slice(0, len(known.styles))))
        weights = {"styles": s.styles_weight}
        loss = total({k: weights.get(k, s.features_weight) * v for k, v in missed.items()})
        loss = loss + s.early_weight * early

        # Images of the encodings, as far as there are targets.
        images = None
        if count := len(batch.targets):
            rendered = self.renderer(encoding.rows(slice(0, count)), batch.noise)
            targets = area_downscale(batch.targets, self.renderer.size)
            images = total(self.terms(rendered, targets))
            loss = loss + s.image_weight * images

        # F_i of warped images lies where generated ones do ([S] eq. 7.2).
        if self.distribution is not None and batch.warped:
            values = ascending(encoding.features[: batch.warped].flatten(1))
            distance = F.mse_loss(values, self.distribution.expand_as(values))
            loss = loss + s.dist_weight * distance

        # Adam, at a rate that rises linearly at first and falls to zero.
        rate = s.lr * min(1.0, (self.step + 1) / max(s.warmup, 1)) * cosine(share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.trained.parameters(), s.max_norm)
        self.optimizer.step()

        # The moving average of the weights, which is the result; its decay grows with the steps.
        follow(self.average, self.model, min(s.ema, (1 + self.step) / (10 + self.step)))
        self.step += 1
        self.seen += len(batch.images)
        parts = {name: value.detach() for name, value in missed.items()}
        seen = None if images is None else images.detach()
        return Losses(loss.detach(), parts, seen, norm.detach(), rate)

    def find(self, batch: Batch) -> tuple[Encoding, Tensor]:
        """The encodings of a batch, and the loss of a refinement's earlier passes.

        A refinement only gets the images that are compared, as every pass renders them.
        """
        if self.model.refinement is None:
            self.model.train()
            return self.encode(batch.images), torch.zeros((), device=self.device)
        self.model.eval()
        with torch.no_grad():
            encoding = self.encode(batch.images[: len(batch.targets)])
        return descend(self.generator, self.model, encoding, batch.targets)

    def encode(self, images: Tensor) -> Encoding:
        """What the encoder finds, in full precision; found in bfloat16 if the run is in it."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            encoding = self.model(images)
        return encoding.to(self.spread.feature_mean)

    def test(self) -> dict[str, float]:
        """What the averaged encoder is worth on the held-out faces."""
        return self.held_out.measure(self.result)


def check_previews(renderer: Renderer) -> None:
    """Raise :class:`UsageError` unless images are whole, or there are previews of their size."""
    generator, shown = renderer.generator, max(renderer.size)
    if renderer.stop is None and shown < generator.resolution:
        stops = generator.network.preview_stops
        sizes = [str(size) for size, stop in stops.items() if stop >= renderer.layer]
        raise UsageError(
            f"images are compared at {shown} px, and previews from layer {renderer.layer} on have "
            f"{', '.join(sizes) or 'no'} px here; choose another image_size, or no previews"
        )


def share_of(step: int, steps: int | None, seconds: float, limit: float | None) -> float:
    """How much of a run is over: of its steps, or of its time where no steps are given."""
    if steps is not None:
        return step / steps
    return seconds / limit if limit else 0.0


def cosine(share: float) -> float:
    """From 1 at share 0 to 0 at share 1."""
    return 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def follow(average: Encoder, model: Encoder, decay: float) -> None:
    """Move averages by 1 − decay towards the model's weights and statistics; counters stay."""
    names = [name for name, value in model.state_dict().items() if value.is_floating_point()]
    averages, values = average.state_dict(), model.state_dict()
    torch._foreach_lerp_([averages[n] for n in names], [values[n] for n in names], 1 - decay)
