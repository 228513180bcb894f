"""Adam from a point to the best one near it, in any space ([S] algorithm 4, [K] appendix D)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from invert import interrupts
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.projection.objective import Networks, Objective
from invert.projection.schedules import warmup_cooldown
from invert.projection.settings import ProjectionSettings
from invert.projection.variables import Variables

MAX_RECOVERIES = 3


@dataclass(frozen=True)
class Step:
    """What a step found, before its update. `stage` is "init" for the first of two stages, else
    "project".
    """

    stage: str
    step: int  # updates made so far
    steps: int
    loss: float  # with every regularizer
    perceptual: float
    mse: float
    lr: float
    seconds: float  # since the stage began
    # [1, 3, H, W]; not kept in histories
    image: Tensor | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Projection:
    """The best point found, its image rendered from it, and how it went.

    stop_reason  "steps": all were made; "interrupted": by Ctrl-C; "diverged": losses were not
                 finite and lower rates did not help. In every case `latent` is that of `best_step`
                 and `image` is its render. Where the first of two stages did not make its steps,
                 all of this is its own: no second one followed.
    early        the best point of the first `early_steps` of the settings; None where that is
                 `latent`.
    """

    latent: Latent
    early: Latent | None
    image: Tensor
    best_step: int
    history: tuple[Step, ...]
    stop_reason: str


Callback = Callable[[Step], object]


@dataclass
class Best:
    """The best point met so far, as a snapshot of the variables; its `fit` is compared, lower is
    better.
    """

    point: list[Tensor]
    early: list[Tensor]  # the best of the first `early_steps`
    early_steps: int
    step: int = 0
    fit: float = math.inf

    def see(self, variables: Variables, step: int, fit: float) -> None:
        """Take the point that the variables hold now, if it is better."""
        if fit < self.fit:
            self.point, self.step, self.fit = variables.snapshot(), step, fit
            if step <= self.early_steps:
                self.early = self.point


@interrupts.postponed()
def optimize(
    generator: Generator,
    image: Tensor,
    start: Latent,
    settings: ProjectionSettings,
    networks: Networks,
    seed: int,
    callback: Callback | None,
    stage: str,
) -> Projection:
    """Adam from `start`; the best point met is the result, never a later or an earlier one.

    An interrupt ends the steps before the next one begins, so that it never falls between a point
    and its keeping.

    Best is the lowest loss without the noise term, whose weight of 4e5 turns rounding into ranks,
    and without the term
    of random crops, where the luckiest crop would win. With 0 steps the start is returned as it is,
    unmeasured.
    """
    facts: dict[str, Any] = {"stage": stage, "settings": asdict(settings), "seed": seed}
    if settings.steps == 0:
        facts |= {"best_step": 0, "best_fit": None, "stop_reason": "steps"}
        return projection_of(generator, start.detach(), None, [], facts)
    variables = Variables(generator, start.detach(), settings)
    optimizer = new_adam(variables)
    first = variables.snapshot()
    best = Best(first, first, settings.early_steps)
    history: list[Step] = []
    rate, recoveries, stop_reason = 1.0, 0, "steps"
    began = time.perf_counter()

    try:
        loss_of = Objective(generator, image, settings, networks, seed)
        for step in range(settings.steps + 1):
            interrupts.check()
            found = loss_of(variables, step)
            value = found.loss.item()

            # Go back to the best point; with a fresh Adam, whose moments are poisoned, at half the
            # rate.
            if not math.isfinite(value):
                recoveries += 1
                if recoveries > MAX_RECOVERIES:
                    stop_reason = "diverged"
                    break
                variables.restore(best.point)
                rate, optimizer = rate / 2, new_adam(variables)
                continue

            # Keep the point if it is the best, and tell of it.
            best.see(variables, step, found.fit)
            factor = rate * warmup_cooldown(
                step, settings.steps, settings.warmup, settings.cooldown
            )
            entry = Step(
                stage, step, settings.steps, value, found.perceptual, found.mse, settings.lr * factor,
                time.perf_counter() - began,
            )  # fmt: skip
            history.append(entry)
            if callback is not None:
                callback(replace(entry, image=found.image))
            interrupts.check()

            # Adam's update.
            if step < settings.steps:
                for group in optimizer.param_groups:
                    group["lr"] = group["rate"] * factor
                optimizer.zero_grad(set_to_none=True)
                found.loss.backward()
                optimizer.step()
                variables.standardize_noise()
    except KeyboardInterrupt:
        stop_reason = "interrupted"

    early = None if best.early is best.point else variables.latent_of(best.early)
    best_fit = best.fit if math.isfinite(best.fit) else None
    facts |= {"best_step": best.step, "best_fit": best_fit, "stop_reason": stop_reason}
    return projection_of(generator, variables.latent_of(best.point), early, history, facts)


def projection_of(
    generator: Generator,
    latent: Latent,
    early: Latent | None,
    history: list[Step],
    facts: dict[str, Any],
) -> Projection:
    """The point with the facts of its projection in its metadata, and its picture rendered from it."""
    latent = latent.replace(metadata={**latent.metadata, "projection": facts})
    image = generator.render(latent)
    return Projection(
        latent, early, image, facts["best_step"], tuple(history), facts["stop_reason"]
    )


def new_adam(variables: Variables) -> torch.optim.Adam:
    s = variables.settings
    return torch.optim.Adam(variables.groups(), lr=s.lr, betas=(s.beta1, s.beta2))
