"""The state of an optimization on its device, and one step of it.

Every tensor has one row per image, and no image reads another's. Nothing here waits for the device,
and all state is changed in place: with `inputs` in fixed tensors, too, a step can be recorded once
and replayed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from invert.latents.latent import Latent
from invert.projection.adam import Adam
from invert.projection.best import Best, known_empty
from invert.projection.history import STOPS
from invert.projection.objective import Objective, Terms
from invert.projection.settings import ProjectionSettings
from invert.projection.step_inputs import StepInputs
from invert.projection.variables import Variables

MAX_RECOVERIES = 3
CODES = {reason: code for code, reason in STOPS.items()}


class Descent:
    """Adam's path from `init`, one latent of one point per image of the objective.

    An image stops (`active` is false) when it has diverged, or when its fit has not improved for
    `patience` steps. Its variables go on, but its best point stays.
    """

    def __init__(
        self, objective: Objective, init: Sequence[Latent], settings: ProjectionSettings
    ) -> None:
        self.objective = objective
        self.settings = settings
        self.variables = Variables(objective.generator, init, settings)
        self.tensors = self.variables.tensors()
        self.best = Best(self.tensors)

        groups = self.variables.groups()
        self.adam = Adam(groups, settings.beta1, settings.beta2, settings.steps)
        self.rate = torch.ones_like(groups[0].rate)  # halved by every recovery

        # Recoveries made, steps without a better fit, and whether the image goes on.
        self.recoveries = torch.zeros_like(self.best.step)
        self.stale = torch.zeros_like(self.best.step)
        self.active = torch.ones_like(self.best.step, dtype=torch.bool)

    def state(self) -> list[Tensor]:
        """Every tensor that a step reads or changes and another projection has in another value."""
        counters = [self.rate, self.recoveries, self.stale, self.active]
        parts = (self.objective, self.adam, self.best)
        label = self.variables.label
        labels = [] if label is None else [label]
        return [*self.tensors, *labels, *counters, *(t for part in parts for t in part.state())]

    def step(self, inputs: StepInputs, update: bool = True) -> tuple[Tensor, Tensor]:
        """Measure the point, keep it if it is the best, and update it.

        Returns the measures [N, columns of the history], and the images [N, 3, H, W]. The last
        point of a path is measured only: `update` is false.
        """
        # Measure the point.
        terms = self.objective(self.variables, inputs)
        finite = terms.loss.detach().isfinite()
        valid, overflow = self.active & finite, self.active & ~finite
        factor = self.rate * inputs.rate

        # Keep the best point.
        better = self.best.update(self.tensors, inputs.step, terms.fit, valid)

        # Stop images that diverge, or that have not improved for long.
        patience = 0 if inputs.preview else self.settings.patience
        stop = self.stop(overflow, better, valid & terms.fit.isfinite(), patience)
        measures = (terms.loss.detach(), terms.perceptual, terms.mse, factor, valid, stop)
        row = torch.stack([m.to(factor.dtype) for m in measures], 1)

        if update:
            # Adam's step.
            gradients = self.gradients(terms)
            self.adam.step(gradients, factor)

            # Noise maps keep zero mean and unit variance ([K] appendix D), z its length.
            self.variables.standardize()

        # Recover from overflow: go on from the best point at half the rate, with a new Adam, since
        # the moments of the old one may overflow too.
        if not known_empty(overflow):
            self.best.restore(self.tensors, overflow)
            self.adam.forget(overflow)
            self.rate.mul_(1 - overflow.to(self.rate.dtype) / 2)
        return row, terms.image

    def gradients(self, terms: Terms) -> Sequence[Tensor]:
        """The gradients of all losses; images share no variable, so their sum has each one's."""
        return torch.autograd.grad(
            terms.loss.sum(), self.tensors, allow_unused=True, materialize_grads=True
        )

    def stop(self, overflow: Tensor, better: Tensor, compared: Tensor, patience: int) -> Tensor:
        """Codes [N] of the reasons to stop now; 0 for images that go on.

        `overflow`, `better` and `compared` [N] are true for images whose loss is not finite, whose
        fit is the lowest yet, and whose fit was measured at all. With `patience` 0 none of them is
        stopped because it does not improve.
        """
        self.recoveries += overflow
        diverged = overflow & (self.recoveries > MAX_RECOVERIES)

        # Steps that do not compete for the best point are not counted against it.
        self.stale += compared
        self.stale.masked_fill_(better, 0)
        stalled = compared & (self.stale >= patience) if patience else torch.zeros_like(diverged)

        self.active &= ~(diverged | stalled)
        return diverged * CODES["diverged"] + stalled * CODES["patience"]
