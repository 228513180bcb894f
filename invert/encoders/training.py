"""Training of an encoder on generated images alone ([S] algorithm 3)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from invert import interrupts
from invert.arguments import check_kinds
from invert.checkpoints.safe_torch import load_tensors
from invert.encoders.backbones import BACKBONE_NAMES, BackboneName
from invert.encoders.encoder import Encoder, Encoding, new_encoder
from invert.encoders.samples import SEEDS, Samples
from invert.errors import ModelFileError, UsageError
from invert.files.atomic_files import write_atomically
from invert.generator import Generator
from invert.images.images import area_downscale
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance

HELD_OUT_SEED = 1  # samples of this seed are never trained on
STATISTICS_COUNT = 256  # samples behind the mean and spread of F_i


@dataclass(frozen=True)
class EncoderSettings:
    """How an encoder is trained. Batch, Adam and the weights of all terms (1) are [S]'s.

    The terms on F, R and styles are mean squared errors in units of each part's variance, which
    makes "all weights 1" mean the same for every generator. The terms on images need the generator,
    forward and backward, which on a CPU costs ten times the rest of the step: they run on every
    `image_every`-th step on `image_batch` of its images, and by default not at all. Over the first
    200 steps they were in the way: with 2 images on every 8th step the held-out share missed was
    0.49 of F_5 and 0.89 of the styles, without them 0.42 and 0.82 (ffhq-mobile, efficientnet-lite0;
    4 fresh samples a step with, 2 without).
    """

    trunk: BackboneName = "efficientnet-b0"  # the backbone; files have this name
    batch: int = 12
    fresh: int = 4  # new samples per step; the rest of the batch are earlier ones again
    lr: float = 5e-4
    warmup: int = 100  # steps
    ema: float = 0.998  # decay per step of the averaged weights, which are the result
    image_every: int = 8
    image_batch: int = 0
    held_out: int = 64
    half: bool = False  # samples are rendered in bfloat16
    seed: int = 0

    def __post_init__(self) -> None:
        check_kinds(self)

        if self.trunk not in BACKBONE_NAMES:
            raise UsageError(f"unknown backbone {self.trunk!r}; known: {', '.join(BACKBONE_NAMES)}")

        if not 1 <= self.fresh <= self.batch or not 0 <= self.image_batch <= self.batch:
            raise UsageError(
                "expected 1 ≤ fresh ≤ batch and 0 ≤ image_batch ≤ batch, "
                f"got {self.fresh}, {self.image_batch} of {self.batch}"
            )

        if (
            self.lr <= 0
            or not 0 <= self.ema < 1
            or self.image_every < 1
            or self.held_out < 1
            or not 0 <= self.seed < SEEDS // 2
        ):
            raise UsageError(
                "expected lr > 0, 0 ≤ ema < 1, image_every ≥ 1, held_out ≥ 1 and 0 ≤ seed < 512"
            )


@dataclass(frozen=True)
class EncoderStep:
    """What a step found: its loss and the shares of variance that were missed; `held_out` on the
    steps that test.
    """

    step: int
    loss: float
    features: float
    styles: float
    seconds: float  # of training, over all sessions
    held_out: dict[str, float] = field(default_factory=dict)


class EncoderTraining:
    """A training run that can stop after any step, and goes on from its file as if it had not."""

    def __init__(
        self,
        generator: Generator,
        layer: int,
        settings: EncoderSettings,
        perceptual: PerceptualDistance | None,
        folder: Path | None = None,
    ) -> None:
        self.generator, self.layer, self.settings, self.perceptual = (
            generator,
            layer,
            settings,
            perceptual,
        )
        # The backbone's initial weights come from the CPU's global generator, whatever the device.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(settings.seed)
            self.model = new_encoder(generator, layer, settings.trunk).to(
                generator.device, generator.dtype
            )
        side = self.model.shape.input_side
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.samples = Samples(
            generator, layer, 2 * settings.seed, side=side, half=settings.half, folder=folder
        )
        self.held_out = Samples(generator, layer, 2 * settings.seed + HELD_OUT_SEED, side=side)
        self._held_out_images: dict[int, Tensor] = {}
        self.variances = self._measure()
        self.average = AveragedModel(
            self.model, avg_fn=moving_average(settings.ema), use_buffers=True
        )
        self.average.requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=settings.lr)
        self.step = 0
        self.seconds = 0.0
        self.start: str | None = None  # the file that `begin_from` was told

    def begin_from(self, encoder: Encoder, name: str) -> None:
        """Take the weights of an encoder of this generator and layer; raises :class:`UsageError`
        for another shape.
        """
        if encoder.shape != self.model.shape:
            raise UsageError(
                f"{name}: an encoder of layer {encoder.shape.layer} with {encoder.shape.trunk}, "
                f"expected layer {self.layer} with {self.model.shape.trunk}"
            )
        self.model.load_state_dict(encoder.state_dict())
        self.average.module.load_state_dict(encoder.state_dict())
        self.start = name

    @property
    def result(self) -> Encoder:
        """The encoder with averaged weights, ready to use."""
        encoder = self.average.module
        assert isinstance(encoder, Encoder)
        encoder.fingerprint = self.generator.fingerprint
        return encoder.eval()

    def run(
        self,
        *,
        steps: int | None,
        seconds: float | None,
        callback: Callable[[EncoderStep], object],
        test_every: int,
    ) -> None:
        """Train until `steps` or `seconds` of training are reached in all, whichever is first.

        A postponed interrupt is raised between two steps."""
        if steps is None and seconds is None:
            raise UsageError("expected a number of steps or a time to train for")
        while (steps is None or self.step < steps) and (seconds is None or self.seconds < seconds):
            interrupts.check()
            began = time.perf_counter()
            loss, missed = self.update()
            self.seconds += time.perf_counter() - began
            tested = self.test() if self.step % test_every == 0 else {}
            callback(
                EncoderStep(
                    self.step, loss, missed["features"], missed["styles"], self.seconds, tested
                )
            )

    def update(self) -> tuple[float, dict[str, float]]:
        """One step of Adam: (loss, share of each part's variance that the batch's encodings
        missed).
        """
        s = self.settings

        # The batch: points and their images.
        indices = self.batch(self.step)
        target = self.samples.encodings(indices)
        images = torch.cat([self.samples.image(k) for k in indices]).to(target.styles)

        # Loss: F, R and styles in units of their variance, and images now and then.
        self.model.train()
        found = self.model(images)
        missed = self.missed(found, target)
        loss = torch.stack(list(missed.values())).sum()
        if s.image_batch and self.step % s.image_every == 0:
            loss = loss + self.image_terms(found, indices[: s.image_batch], images[: s.image_batch])
        if not math.isfinite(loss.item()):
            raise UsageError(
                f"the loss is not finite at step {self.step}; resume with a lower rate"
            )

        # Adam, at a rate that rises linearly at first.
        for group in self.optimizer.param_groups:
            group["lr"] = s.lr * min(1.0, (self.step + 1) / max(s.warmup, 1))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

        # The moving average of the weights, which is the result.
        self.average.update_parameters(self.model)
        self.step += 1
        return loss.item(), {name: value.item() for name, value in missed.items()}

    def batch(self, step: int) -> list[int]:
        """The samples of a step: `fresh` new ones, then earlier ones at random; a function of the
        step alone.
        """
        fresh = self.settings.fresh
        new = list(range(step * fresh, (step + 1) * fresh))
        random = torch.Generator().manual_seed(step * SEEDS + self.settings.seed)
        again = torch.randint((step + 1) * fresh, (self.settings.batch - fresh,), generator=random)
        return new + again.tolist()

    def missed(self, found: Encoding, target: Encoding) -> dict[str, Tensor]:
        """Mean squared errors of F, R and styles in units of their variance: 1 is as good as
        knowing the mean.
        """
        pairs = {
            "features": (found.features, target.features),
            "styles": (found.styles, target.styles),
        }
        if found.rgb is not None and target.rgb is not None:
            pairs["rgb"] = (found.rgb, target.rgb)
        return {name: F.mse_loss(x, y) / self.variances[name] for name, (x, y) in pairs.items()}

    def image_terms(self, found: Encoding, indices: list[int], images: Tensor) -> Tensor:
        """Squared error and perceptual distance of the images that the encodings make with the
        samples' own noise.
        """
        total = torch.zeros((), device=images.device, dtype=images.dtype)
        i = self.layer
        for row, k in enumerate(indices):
            # The encoding of a sample as a point, with the sample's own noise.
            noise = self.samples.point(k).noise
            assert noise is not None
            latent = Latent(
                Space("W+", i, noise=True),
                found.styles[row : row + 1, i - 1 :],
                self.generator.fingerprint,
                features=found.features[row : row + 1],
                rgb=None if found.rgb is None else found.rgb[row : row + 1],
                noise=noise,
            )

            # Its image, at the size of the sample's.
            rendered = self.generator.render(latent)
            small = area_downscale(rendered, (images.shape[2], images.shape[3]))
            total = total + F.mse_loss(small, images[row : row + 1])
            if self.perceptual is not None:
                total = total + self.perceptual(small, images[row : row + 1]).sum()
        return total / len(indices)

    def test(self) -> dict[str, float]:
        """Shares of variance missed by the averaged encoder on the held-out samples."""
        encoder = self.result
        sums: dict[str, float] = {}
        indices = list(range(self.settings.held_out))
        for start in range(0, len(indices), self.settings.batch):
            interrupts.check()
            chunk = indices[start : start + self.settings.batch]
            images = torch.cat([self.held_out_image(k) for k in chunk])
            target = self.held_out.encodings(chunk)
            with torch.inference_mode():
                missed = self.missed(encoder(images.to(target.styles)), target)
            for name, value in missed.items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(chunk)
        return {name: value / len(indices) for name, value in sums.items()}

    def held_out_image(self, k: int) -> Tensor:
        """Image k [1, 3, h, w] of the held-out samples, rendered once."""
        if k not in self._held_out_images:
            self._held_out_images[k] = self.held_out.image(k)
        return self._held_out_images[k]

    def save(self, path: Path) -> None:
        """Write everything that the next step depends on, for any device to go on."""
        state = {
            "fingerprint": self.generator.fingerprint,
            "layer": self.layer,
            "settings": asdict(self.settings),
            "start": self.start,
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        write_atomically(path, lambda file: torch.save(on_cpu(state), file))

    def resume(self, path: Path) -> None:
        """Go on from a file of :meth:`save`. Raises :class:`ModelFileError` unless it is of this
        very run.
        """
        # The file, read without trust.
        try:
            state: Any = load_tensors(path)
        except ModelFileError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise ModelFileError(f"{path}: not a training run that can go on ({reason})") from error

        # This very run, then its state.
        try:
            same = (state["fingerprint"], state["layer"], state["settings"])
            if same != (self.generator.fingerprint, self.layer, asdict(self.settings)):
                raise ModelFileError(
                    f"{path}: a run of another generator, layer or settings; "
                    "train into another file"
                )

            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.start = state["start"]
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise ModelFileError(
                f"{path}: not a training run that can go on ({str(error).splitlines()[0][:120]})"
            ) from error

    def _measure(self) -> dict[str, float]:
        """Variances of the parts over the first samples; also tells the model where F_i lies."""
        chunks = torch.arange(STATISTICS_COUNT).split(32)
        parts = [self.samples.encodings(chunk.tolist()) for chunk in chunks]

        # Mean and deviation of each channel of F_i.
        features = torch.cat([p.features for p in parts])
        self.model.feature_mean.copy_(features.mean(dim=(0, 2, 3))[:, None, None])
        self.model.feature_std.copy_(features.std(dim=(0, 2, 3))[:, None, None])

        # Variance of each part about its mean.
        styles = torch.cat([p.styles for p in parts])
        centred = features - self.model.feature_mean
        found = {
            "features": centred.square().mean().item(),
            "styles": (styles - self.generator.w_avg).square().mean().item(),
        }
        if parts[0].rgb is not None:
            rgb = torch.cat([p.rgb for p in parts if p.rgb is not None])
            found["rgb"] = (rgb - rgb.mean(dim=(0, 2, 3), keepdim=True)).square().mean().item()
        return found


def on_cpu(state: Any) -> Any:
    """The state with the tensors of its dicts and lists on the CPU."""
    if isinstance(state, dict):
        return {name: on_cpu(part) for name, part in state.items()}
    if isinstance(state, list):
        return [on_cpu(part) for part in state]
    return state.cpu() if isinstance(state, Tensor) else state


def moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """The update of an average whose decay grows with the steps made, up to `decay`."""

    def update(average: Tensor, value: Tensor, count: Tensor | int) -> Tensor:
        if not average.is_floating_point():  # counters
            return value
        return average.lerp(value, 1 - min(decay, (1 + int(count)) / (10 + int(count))))

    return update
