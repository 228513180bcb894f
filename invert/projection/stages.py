"""The stages of projections: one or two optimizations, then the companions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from invert.generator import Generator
from invert.hardware.passes import passes, single_passes
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.projection.companion import at_training_size, can_have_companion, with_companion
from invert.projection.objective import Objective
from invert.projection.optimization import Callback, Projection, Step, joined, optimize
from invert.projection.recorded import Recordings
from invert.projection.settings import ProjectionSettings


def project_batch(
    objective: Objective,
    init: Sequence[Latent],
    space: Space,
    two_stages: bool,
    settings: ProjectionSettings,
    callback: Callback | None,
    recordings: Recordings | None = None,
) -> list[Projection]:
    """The projections of the objective's images into `space`, with companions.

    `init` holds a point for each image: of (N)W+ where there are two stages, else of `space`.
    """
    if two_stages:
        results = optimize_in_two_stages(objective, init, space, settings, callback, recordings)
    else:
        results = optimize(objective, init, settings, callback, recordings=recordings)
    return add_companions(objective.generator, results, settings)


def optimize_in_two_stages(
    objective: Objective,
    init: Sequence[Latent],
    space: Space,
    settings: ProjectionSettings,
    callback: Callback | None,
    recordings: Recordings | None = None,
) -> list[Projection]:
    """Optimize `init`, points of (N)W+, then their best points as those of `space`.

    A first stage that is interrupted or diverges is the result, converted to `space`.
    """
    generator = objective.generator
    results = optimize(
        objective, init, settings.for_init(), callback, stage="init", recordings=recordings
    )
    latents = [generator.convert(first.latent, space) for first in results]

    # The second stage of the images that made all of the first.
    reasons = [first.stop_reason for first in results]
    usable = [k for k, reason in enumerate(reasons) if reason in ("steps", "patience")]
    if "interrupted" in reasons:
        usable = []
    if usable:
        second = optimize(
            objective.part(usable),
            [latents[k] for k in usable],
            settings,
            renumbered(callback, usable),
            recordings=recordings,
        )
        for k, projection in zip(usable, second, strict=True):
            results[k] = projection

    # The others end with the first.
    for k in set(range(len(results))) - set(usable):
        early = results[k].early
        results[k] = replace(
            results[k],
            latent=latents[k],
            early=None if early is None else generator.convert(early, space),
            image=generator.render(latents[k]),
        )
    return results


def renumbered(callback: Callback | None, numbers: Sequence[int]) -> Callback | None:
    """The callback for a part of the images; it is told their numbers in the whole."""
    if callback is None:
        return None

    def call(step: Step) -> object:
        return callback(replace(step, index=numbers[step.index]))

    return call


def add_companions(
    generator: Generator, projections: Sequence[Projection], settings: ProjectionSettings
) -> list[Projection]:
    """The projections of a batch with companions of their points, where they can have them.

    An interrupt meanwhile leaves the companions of the inits. Nor does a run that was interrupted
    before `early_steps` get one: the edit that needs it fits the same one later.
    """
    results = list(projections)
    wanted = [
        k
        for k, p in enumerate(projections)
        if not (p.stop_reason == "interrupted" and p.early is None)
        and can_have_companion(generator, p.latent)
    ]
    if settings.steps == 0 or not wanted:
        return results

    # Points of the training size are explained together, windows of a canvas point by point.
    alike = at_training_size(generator, results[wanted[0]].latent)
    parts = passes(generator.device, len(wanted)) if alike else single_passes(len(wanted))
    for part in parts:
        numbers = wanted[part]
        points = [results[k].latent for k in numbers]
        explained = [results[k].early or results[k].latent for k in numbers]
        try:
            found = with_companion(
                generator, joined(points), joined(explained), steps=settings.companion_steps
            ).companion
        except KeyboardInterrupt:
            return [replace(p, stop_reason="interrupted") for p in results]

        for row, k in enumerate(numbers):
            latent = results[k].latent.replace(companion=one_of(found, row))
            results[k] = replace(results[k], latent=latent)
    return results


def one_of(companions: Companion | None, row: int) -> Companion | None:
    """The companion of one point of a batch, with tensors of its own."""
    return companions and companions.map(lambda t: t[row : row + 1].clone())
