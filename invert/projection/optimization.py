"""Optimize a latent with Adam and return the best point met ([S] algorithm 4, [K] appendix D)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from invert import interrupts
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.projection.objective import Objective
from invert.projection.schedules import warmup_cooldown
from invert.projection.settings import ProjectionSettings
from invert.projection.variables import Variables

MAX_RECOVERIES = 3

Stage = Literal["init", "project"]  # "init": the first of two stages
StopReason = Literal["steps", "interrupted", "diverged"]


@dataclass(frozen=True)
class Step:
    """The measures of one step, before its update."""

    stage: Stage
    step: int  # updates made so far
    steps: int
    loss: float  # with every regularizer
    perceptual: float
    mse: float
    lr: float
    seconds: float  # since the stage began
    # [1, 3, H, W]; histories leave it out
    image: Tensor | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Projection:
    """The best point, its image rendered from it, and how the optimization went.

    latent       the point of `best_step`, whatever the stop reason
    early        the best point of the first `early_steps` of the settings; None where that is
                 `latent`. The companion is fitted to it: F_i of a longer run is farther from what
                 styles can make
    image        [1, 3, H, W], rendered from `latent`
    history      every step of the last stage that ran, but those whose loss was not finite
    stop_reason  "steps": all were made; "interrupted": by Ctrl-C; "diverged": losses were not
                 finite and lower rates did not help

    If the first of two stages stops early, the second is skipped and these fields describe the
    first.
    """

    latent: Latent
    early: Latent | None
    image: Tensor
    best_step: int
    history: tuple[Step, ...]
    stop_reason: StopReason


Callback = Callable[[Step], object]


@dataclass
class Best:
    """The best point so far, as a snapshot of the variables: that of the lowest `fit`."""

    point: list[Tensor]
    early: list[Tensor]  # the best of the first `early_steps`
    early_steps: int
    step: int = 0
    fit: float = math.inf

    def update(self, variables: Variables, step: int, fit: float) -> None:
        """Take the point that the variables hold now, if it is better."""
        if fit < self.fit:
            self.point, self.step, self.fit = variables.snapshot(), step, fit
            if step <= self.early_steps:
                self.early = self.point


@interrupts.postponed()
def optimize(
    objective: Objective,
    init: Latent,
    settings: ProjectionSettings,
    callback: Callback | None = None,
    *,
    stage: Stage = "project",
) -> Projection:
    """The best point on Adam's path, `init` and the last point included.

    Best is the lowest `fit` of the objective (:class:`invert.projection.objective.Terms`). An
    interrupt ends the loop between two steps, never between a point and its snapshot. With 0 steps
    `init` is returned as it is, unmeasured.
    """
    generator = objective.generator
    init = init.detach()
    record: dict[str, Any] = {"stage": stage, "settings": asdict(settings)}
    record["seed"] = objective.seed
    if settings.steps == 0:
        record |= {"best_step": 0, "best_fit": None, "stop_reason": "steps"}
        return render_projection(generator, init, None, [], record)

    # Start from `init` itself: it is the best point until a lower one is measured.
    variables = Variables(generator, init, settings)
    optimizer = new_adam(variables)
    random = torch.Generator().manual_seed(objective.seed)  # on the CPU, so that devices agree
    first = variables.snapshot()
    best = Best(first, first, settings.early_steps)
    history: list[Step] = []
    rate, recoveries = 1.0, 0
    stop_reason: StopReason = "steps"
    start_time = time.perf_counter()

    try:
        for step in range(settings.steps + 1):
            # Measure the point, before its update.
            interrupts.check()
            terms = objective(variables, step, random)
            loss = terms.loss.item()

            # Recover from overflow: go on from the best point at half the rate, with a new Adam,
            # since the moments of the old one may overflow too.
            if not math.isfinite(loss):
                recoveries += 1
                if recoveries > MAX_RECOVERIES:
                    stop_reason = "diverged"
                    break
                variables.restore(best.point)
                rate, optimizer = rate / 2, new_adam(variables)
                continue

            # Keep the best point.
            best.update(variables, step, terms.fit)

            # Report the step, with the rate that its update will use.
            factor = rate * warmup_cooldown(
                step, settings.steps, settings.warmup, settings.cooldown
            )
            lr, seconds = settings.lr * factor, time.perf_counter() - start_time
            entry = Step(
                stage, step, settings.steps, loss, terms.perceptual, terms.mse, lr, seconds
            )
            history.append(entry)
            if callback is not None:
                callback(replace(entry, image=terms.image))
            interrupts.check()

            # Adam's step; the last point is measured and not updated.
            if step < settings.steps:
                for group in optimizer.param_groups:
                    group["lr"] = group["rate"] * factor
                optimizer.zero_grad(set_to_none=True)
                terms.loss.backward()
                optimizer.step()

                # Noise maps keep zero mean and unit variance ([K] appendix D).
                variables.standardize_noise()
    except KeyboardInterrupt:
        stop_reason = "interrupted"

    # The best point, and the best early one where it is another.
    early = None if best.early is best.point else variables.latent_at(best.early)
    latent = variables.latent_at(best.point)
    best_fit = best.fit if math.isfinite(best.fit) else None
    record |= {"best_step": best.step, "best_fit": best_fit, "stop_reason": stop_reason}
    return render_projection(generator, latent, early, history, record)


def render_projection(
    generator: Generator,
    latent: Latent,
    early: Latent | None,
    history: list[Step],
    record: dict[str, Any],
) -> Projection:
    """The projection of a point with its image; `record` goes into the latent's metadata."""
    latent = latent.replace(metadata={**latent.metadata, "projection": record})
    image = generator.render(latent)
    return Projection(
        latent, early, image, record["best_step"], tuple(history), record["stop_reason"]
    )


def new_adam(variables: Variables) -> torch.optim.Adam:
    """A fresh Adam, with zero moments, for the groups of the variables."""
    s = variables.settings
    return torch.optim.Adam(variables.groups(), lr=s.lr, betas=(s.beta1, s.beta2))
