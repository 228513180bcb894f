"""Training of an attribute model on generated points alone ([S] algorithm 2).

Three stages. Least squares solves c·M(F) = F(w + cv) − F(w) for M, which runs only the first layers
of the generator. Adam then fits the exponential of M, from there, on such displacements; where that
explains less of held-out ones, it is dropped. The last stage adds the perceptual distance of the
images, as [S] does; it needs the whole generator, forward and backward, and is off by default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import add

import torch
from torch import Tensor

from directions.direction import Direction
from edits.attributes.fit import NormalEquations, explained, principal_channels
from edits.attributes.flow import RGB, LinearFlow
from edits.attributes.model import AttributeModel
from edits.attributes.samples import CHUNK, Pairs, PairSampler
from invert import interrupts
from invert.arguments import check_kinds
from invert.errors import UsageError
from invert.generator import Generator
from invert.hardware.modes import default_modes
from invert.images.images import area_downscale
from invert.latents.layer_ranges import styles_inside
from invert.latents.spaces import Space
from invert.metrics.perceptual import PerceptualDistance, perceptual_size

RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
TOLERANCE = 1e-4  # of the exponential's series while training


@dataclass(frozen=True)
class AttributeSettings:
    """How an attribute model is trained. The batch and the perceptual stage's rate are [S]'s.

    kernel_size 1 and rank None give [S]'s convolution. Strengths are drawn from ±limit steps; a
    step is one standard deviation of W along the direction, and ±4 holds nearly all of it. Errors
    of F_i and R_i count in units of their own displacements, so that the weights of 1 that [S]
    gives to all terms mean the same for every generator.
    """

    limit: float = 4.0
    kernel_size: int = 3  # explains about twice what 1 does where a head turns
    rank: int | None = 128  # coordinates of the C channels; None is all
    samples: int = 512  # points behind the least squares
    held_out: int = 64
    batch: int = 12
    steps: int = 200
    lr: float = 3e-4
    perceptual_steps: int = 0
    perceptual_lr: float = 1e-4
    # pairs of a batch whose images are compared: they are what takes memory
    perceptual_batch: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.limit == self.limit:  # not a number: said below
            check_kinds(self)

        if (
            not 0 < self.limit <= 100
            or self.kernel_size not in (1, 3, 5)
            or (self.rank is not None and self.rank < 1)
        ):
            raise UsageError(
                "expected 0 < limit ≤ 100, kernel_size 1, 3 or 5 and rank ≥ 1 or None, "
                f"got {self.limit:g}, {self.kernel_size} and {self.rank}"
            )

        counts = (self.samples, self.held_out, self.batch, self.perceptual_batch)
        if min(counts) < 1 or min(self.steps, self.perceptual_steps) < 0:
            raise UsageError(
                "expected samples, held_out and both batches ≥ 1, "
                "and steps and perceptual_steps ≥ 0"
            )

        if not (self.lr > 0 and self.perceptual_lr > 0):
            raise UsageError("expected learning rates above 0")


@dataclass(frozen=True)
class AttributeStep:
    """How far training is, and what a step found in its batch, where it looks at one."""

    stage: str  # "channels", "least squares", "exponential", "perceptual"
    step: int  # from 1
    steps: int
    missed: float | None = None  # share of F_i's displacement, before the step
    distance: float | None = None  # of the images


Callback = Callable[[AttributeStep], None]


@interrupts.postponed()
@default_modes()
def train_attribute_model(
    generator: Generator,
    direction: Direction,
    layer: int,
    *,
    settings: AttributeSettings | None = None,
    perceptual: PerceptualDistance | None = None,
    callback: Callback | None = None,
) -> AttributeModel:
    """The attribute model of a direction at a layer, with what it explains of held-out
    displacements in `training`.

    An interrupt ends the stage, and what it had reached is the model, as `training` says under
    "stop_reason"; before least squares are solved there is none, and KeyboardInterrupt is raised.
    Raises :class:`UsageError` for a direction that moves no style before the layer, for one of
    another W space, and for perceptual steps without a distance.
    """
    settings = settings or AttributeSettings()
    if settings.perceptual_steps and perceptual is None:
        raise UsageError(
            "perceptual_steps need a perceptual distance "
            "(invert.metrics.perceptual.load_perceptual)"
        )

    direction.check_generator(generator)
    offset = direction.offset(generator.num_ws, 1.0)
    inside = offset[: styles_inside(generator.network, Space("W+", layer))]
    if not inside.any():
        raise UsageError(
            f"direction {direction.name!r} moves no style before layer {layer}: F_{layer} stays "
            "as it is, no attribute model is needed"
        )

    report = callback or (lambda step: None)
    sampler = PairSampler(generator, layer, offset, settings.limit, settings.seed)
    held_out = range(settings.held_out)
    fitting = range(settings.held_out, settings.held_out + settings.samples)

    # Least squares.
    with interrupts.immediate():  # nothing to keep yet
        flow, ridge = least_squares(sampler, held_out, fitting, settings, report)
    table = held_out_table(flow, sampler, held_out)

    # The exponential, where it explains more.
    descent, done = Descent(sampler, ridge, settings, report), True
    if settings.steps:
        refined, done = descent.run(flow, fitting.stop, settings.steps)
        other = held_out_table(refined, sampler, held_out)
        if mean_explained(other) > mean_explained(table):
            flow, table = refined, other

    # Images.
    if settings.perceptual_steps and done:
        later = fitting.stop + settings.steps * settings.batch
        flow, done = descent.run(flow, later, settings.perceptual_steps, perceptual)
        table = held_out_table(flow, sampler, held_out)

    facts = {
        "stop_reason": "done" if done and not interrupts.taken() else "interrupted",
        "generator": generator.name,
        "settings": asdict(settings),
        "ridge": ridge,
        "perceptual": perceptual.name if perceptual and settings.perceptual_steps else None,
        "explained": table,
    }
    return AttributeModel(
        direction.name, layer, generator.fingerprint, inside, flow, settings.limit, facts
    )


def held_out_table(
    flow: LinearFlow, sampler: PairSampler, held_out: range
) -> dict[str, dict[str, float]]:
    """What a flow explains of F_i and R_i at a quarter, half and all of the trained strengths, both
    ways.
    """
    strengths = [sampler.limit * share for share in (-1, -0.5, -0.25, 0.25, 0.5, 1)]
    return {f"{c:+g}": explained(flow, sampler, held_out, c) for c in strengths}


def mean_explained(table: Mapping[str, Mapping[str, float]]) -> float:
    """Mean over strengths and parts."""
    values = [share for shares in table.values() for share in shares.values()]
    return sum(values) / len(values)


def least_squares(
    sampler: PairSampler,
    held_out: range,
    fitting: range,
    settings: AttributeSettings,
    report: Callback,
) -> tuple[LinearFlow, float]:
    """The flow whose c·M is nearest to the displacements of `fitting`; its ridge misses least of
    `held_out`.
    """

    def counted(indices: range, stage: str) -> Iterator[Pairs]:
        for n, pairs in enumerate(sampler.chunks(indices), start=1):
            yield pairs
            report(AttributeStep(stage, n, -(-len(indices) // CHUNK)))

    # The coordinates, and a flow that does nothing yet.
    layer, dtype = sampler.generator.layer(sampler.layer), sampler.generator.dtype
    basis, scale = principal_channels(counted(fitting, "channels"), settings.rank or layer.channels)
    width = basis.shape[1] + (RGB if layer.rgb_size else 0)
    still = LinearFlow(
        basis.to(dtype),
        torch.zeros(width, width, settings.kernel_size, settings.kernel_size),
        scale,
    )

    def equations(sample: Iterable[Pairs]) -> NormalEquations:
        return reduce(
            add,
            (
                NormalEquations.from_coordinates(
                    *ends(still, pairs), pairs.strength, settings.kernel_size
                )
                for pairs in sample
            ),
        )

    # The kernel of each ridge; the ridge that leaves least of the held-out displacements.
    fit, test = equations(counted(fitting, "least squares")), equations(sampler.chunks(held_out))
    ridge = min(RIDGES, key=lambda r: test.missed(fit.kernel(r)))
    return replace(still, kernel=fit.kernel(ridge).to(dtype)), ridge


def by_part(flow: LinearFlow, y: Tensor) -> Tensor:
    """Mean squares [1 or 2] of the coordinates of F_i and of R_i."""
    count = flow.basis.shape[1]
    parts = (y[:, :count], y[:, count:]) if flow.has_rgb else (y,)
    return torch.stack([part.square().mean() for part in parts])


def ends(flow: LinearFlow, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Coordinates of pairs before and after the edit."""
    before, after = (
        flow.coordinates(features, rgb)
        for features, rgb in zip(pairs.features, pairs.rgb, strict=True)
    )
    return before, after


@dataclass(frozen=True)
class Descent:
    """Adam on the exponential of a kernel.

    Coordinates get the noise that stands for the ridge, before and after the edit alike: what
    generated features do not have should stay as it is. The rate falls to zero over the second
    half.
    """

    sampler: PairSampler
    ridge: float
    settings: AttributeSettings
    report: Callback

    def run(
        self, flow: LinearFlow, first: int, steps: int, perceptual: PerceptualDistance | None = None
    ) -> tuple[LinearFlow, bool]:
        """The flow after `steps`, and whether all were made or an interrupt came between two.

        They go over pairs from `first` on, and lower the distance of their images too if there is
        one.
        """
        settings = self.settings
        kernel = flow.kernel.to(self.sampler.generator.w_avg, copy=True).requires_grad_()
        random = torch.Generator().manual_seed(settings.seed)
        rate = settings.perceptual_lr if perceptual else settings.lr
        adam = torch.optim.Adam([kernel], lr=rate)
        stage, done = "perceptual" if perceptual else "exponential", True

        try:
            for step in range(1, steps + 1):
                interrupts.check()
                last = first + step * settings.batch
                pairs = self.sampler.pairs(range(last - settings.batch, last))
                loss, missed, distance = self.loss(flow, kernel, pairs, random, perceptual)

                # Adam, at a rate that falls over the second half.
                for group in adam.param_groups:
                    group["lr"] = rate * min(1.0, 2 * (1 - (step - 1) / steps))
                adam.zero_grad()
                loss.backward()
                adam.step()

                self.report(AttributeStep(stage, step, steps, missed, distance))
        except KeyboardInterrupt:
            done = False
        return replace(flow, kernel=kernel.detach().cpu()), done

    def loss(
        self,
        flow: LinearFlow,
        kernel: Tensor,
        pairs: Pairs,
        random: torch.Generator,
        perceptual: PerceptualDistance | None,
    ) -> tuple[Tensor, float, float | None]:
        """What a step lowers, the share of F_i's displacement that is missed, and the distance of
        the images.
        """
        # Coordinates before and after, with the noise that stands for the ridge.
        current = replace(flow, kernel=kernel)
        y, target = ends(flow, pairs)
        noise = torch.randn(y.shape, generator=random, dtype=torch.float32).to(y)
        noise *= (self.ridge * y.square().mean()).sqrt()

        # Share of the displacement's squares that the flow does not predict.
        moved = current.moved(y + noise, pairs.rgb[0], pairs.strength, tolerance=TOLERANCE)
        missed = by_part(flow, moved - target - noise) / by_part(flow, target - y)
        if perceptual is None:
            return missed.sum(), missed[0].item(), None

        images = image_distance(
            self.sampler, current, y, pairs, perceptual, self.settings.perceptual_batch
        )
        return missed.sum() + images, missed[0].item(), images.item()


def image_distance(
    sampler: PairSampler,
    flow: LinearFlow,
    y: Tensor,
    pairs: Pairs,
    perceptual: PerceptualDistance,
    count: int,
) -> Tensor:
    """Mean perceptual distance of the images of predicted and true F_i and R_i, both with the
    edited styles.

    Of the first `count` pairs, whose coordinates before the edit are y.
    """
    # The first pairs: all images of a batch would take much memory.
    features, target = (t[:count] for t in pairs.features)
    rgb, target_rgb = (None if t is None else t[:count] for t in pairs.rgb)
    styles = pairs.styles[1][:count]
    y = y[:count]

    # F_i and R_i as the flow predicts them.
    moved = flow.moved(y, rgb, pairs.strength[:count], tolerance=TOLERANCE)
    change, rgb_change = flow.maps(moved - y, rgb)
    moved_rgb = None if rgb is None or rgb_change is None else rgb + rgb_change

    # Both images, and their distance.
    generator = sampler.generator
    images = generator.render(sampler.point(features + change, moved_rgb, styles))
    truth = generator.render(sampler.point(target, target_rgb, styles))
    size = perceptual_size(min(generator.image_size), images)
    return perceptual(area_downscale(images, size), area_downscale(truth, size)).mean()
