"""Optimize latents with Adam and return the best points met ([S] algorithm 4, [K] appendix D)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from invert import interrupts
from invert.generator import Generator
from invert.hardware.precision import fast_steps
from invert.latents.latent import Latent
from invert.projection.descent import Descent
from invert.projection.history import History, Stage, Step, StopReason
from invert.projection.objective import Objective
from invert.projection.recorded import Recordings
from invert.projection.settings import ProjectionSettings

__all__ = ["Callback", "Projection", "Stage", "Step", "StopReason", "optimize"]

KEPT_IMAGES = 8  # images of steps that a device keeps for a callback


@dataclass(frozen=True)
class Projection:
    """The best point, its image rendered from it, and how the optimization went.

    latent       the point of `best_step`, whatever the stop reason
    early        the best point of the first `early_steps` of the settings; None where that is
                 `latent`. The companion is fitted to it: F_i of a longer run is farther from what
                 styles can make
    image        [1, 3, H, W], rendered from `latent`
    history      every step of the last stage that ran, but those whose loss was not finite
    stop_reason  "steps": all were made; "patience": nothing improved for that many;
                 "interrupted": by Ctrl-C; "diverged": losses were not finite and lower rates did
                 not help

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


@interrupts.postponed()
def optimize(
    objective: Objective,
    init: Sequence[Latent],
    settings: ProjectionSettings,
    callback: Callback | None = None,
    *,
    stage: Stage = "project",
    recordings: Recordings | None = None,
) -> list[Projection]:
    """For every image the best point on Adam's path, init and last point included.

    `init` holds one latent of one point for each image of the objective. Best is the lowest `fit`
    of the objective (:class:`invert.projection.objective.Terms`). An interrupt ends the loop
    between two steps, never between a point and its snapshot. With 0 steps `init` is returned as it
    is, unmeasured.

    A CPU tells the callback of each step at once; other devices work through `report_every` steps
    before anyone looks, by graphs where they have them. `recordings` keeps these for the next
    images.
    """
    init = [latent.detach() for latent in init]
    history = History(stage, settings, len(init))
    if settings.steps == 0:
        records = [record(objective, stage, settings, 0, math.inf, "steps") for _ in init]
        return projections(objective.generator, init, [None] * len(init), history, records)

    # Start from `init` itself: it is the best point until a lower one is measured.
    descent = (recordings or Recordings()).begin(Descent(objective, init, settings))
    inputs = objective.inputs(descent.variables)
    interrupted = False

    try:
        step = 0
        for block in inputs.blocks(block_length(objective, settings, callback)):
            # Make some steps, ahead of what the host knows. The last point is only measured.
            for each in block:
                interrupts.check()
                if step == inputs.previews:  # points are compared by pictures of one size
                    descent.best.forget_fit()
                with fast_steps():
                    measures, image = descent.step(each, update=step < settings.steps)
                history.append(step, measures, None if callback is None else image)
                if step == settings.early_steps:
                    descent.best.keep_early()
                step += 1

            # Report them.
            for entry in history.read():
                if callback is not None:
                    callback(entry)
            if history.over:
                break
            interrupts.check()
    except KeyboardInterrupt:
        interrupted = True
        history.read()

    # The best points, and the best early ones where they are others.
    best, variables = descent.best, descent.variables
    best_steps, fits = best.step.tolist(), best.fit.tolist()
    latents = variables.latents_at(best.point)
    early: list[Latent | None] = [None] * len(init)
    if best.early is not None:
        points = variables.latents_at(best.early)
        late = [k > settings.early_steps for k in best_steps]
        early = [point if is_late else None for point, is_late in zip(points, late, strict=True)]

    usual: StopReason = "interrupted" if interrupted else "steps"
    records = [
        record(objective, stage, settings, best_step, fit, stop or usual)
        for best_step, fit, stop in zip(best_steps, fits, history.stops, strict=True)
    ]
    return projections(objective.generator, latents, early, history, records)


def block_length(
    objective: Objective, settings: ProjectionSettings, callback: Callback | None
) -> int:
    """How many steps are made before the host looks at them: one on a CPU."""
    images = objective.image
    if images.device.type == "cpu":
        return 1
    if callback is None:
        return settings.report_every
    return min(settings.report_every, max(1, KEPT_IMAGES // len(images)))


def record(
    objective: Objective,
    stage: Stage,
    settings: ProjectionSettings,
    best_step: int,
    best_fit: float,
    stop_reason: StopReason,
) -> dict[str, Any]:
    """How a point came about, for its metadata."""
    return {
        "stage": stage,
        "settings": asdict(settings),
        "seed": objective.seed,
        "best_step": best_step,
        "best_fit": best_fit if math.isfinite(best_fit) else None,
        "stop_reason": stop_reason,
    }


def projections(
    generator: Generator,
    latents: Sequence[Latent],
    early: Sequence[Latent | None],
    history: History,
    records: Sequence[dict[str, Any]],
) -> list[Projection]:
    """The projections of points with their images; the records go into the latents' metadata."""
    latents = [
        latent.replace(metadata={**latent.metadata, "projection": facts})
        for latent, facts in zip(latents, records, strict=True)
    ]
    images = generator.render(joined(latents)).split(1)
    return [
        Projection(latent, before, image, facts["best_step"], tuple(steps), facts["stop_reason"])
        for latent, before, image, steps, facts in zip(
            latents, early, images, history.steps, records, strict=True
        )
    ]


def joined(latents: Sequence[Latent]) -> Latent:
    """One batch of points without their companions."""
    bare = [latent.replace(companion=None) for latent in latents]
    return bare[0] if len(bare) == 1 else Latent.cat(bare)
