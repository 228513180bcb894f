"""The attribute model: carries a direction into F_i and R_i from nothing but these maps ([S]
algorithm 2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from edits.attributes.flow import LinearFlow
from edits.feature_edits import Displacement
from invert.errors import FingerprintError, UsageError
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.layer_ranges import styles_inside

TOLERANCE = 1e-3  # of an offset's length, for what is not along the direction
# times the strengths that were trained: further out the exponential grows without bound
REACH = 2.0


@dataclass(frozen=True, eq=False)
class AttributeModel:
    """One direction, one layer, one generator. Immutable; checked on construction
    (:class:`UsageError`).

    direction    name of the direction
    layer        i of F_i
    fingerprint  of the generator's weights
    offset       [n, w_dim] of one step, for the n styles that F_i and R_i were made of
                 (`styles_inside`)
    flow         M: per step, (dF, dR) at (F_i, R_i)
    limit        strengths up to ± this were trained; twice that is allowed
    training     how it was trained and what it explains of held-out displacements; JSON values

    Needs no companion, and works at any size: on canvases, mixtures and crops, in FW, FSW, FNW and
    FNSW.
    """

    direction: str
    layer: int
    fingerprint: str
    offset: Tensor
    flow: LinearFlow
    limit: float
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.offset.ndim != 2 or not self.offset.any():
            raise UsageError(
                "expected the offset of one step [n, w_dim], not zero, "
                f"got {list(self.offset.shape)}"
            )

        tensors = (self.offset, self.flow.basis, self.flow.kernel)
        if not all(t.is_floating_point() and bool(t.isfinite().all()) for t in tensors):
            raise UsageError(
                f"the attribute model of {self.direction!r} has values that are not finite numbers"
            )

        if self.layer < 1 or not 0 < self.limit < float("inf"):
            raise UsageError(
                f"expected layer ≥ 1 and a positive limit, got {self.layer} and {self.limit}"
            )

        try:
            json.dumps(dict(self.training), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"the training facts of {self.direction!r} are not JSON ({error})"
            ) from error

    def __call__(self, features: Tensor, rgb: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(dF, dR) = M(F, R), of 1 σ to first order: F_i [N, C, H, W] and R_i [N, 3, h, w]."""
        y = self.flow.coordinates(features, rgb)
        return self.flow.maps(self.flow.velocity(y, rgb, torch.ones(1, 1, 1, 1).to(y)), rgb)

    def displacement(
        self, generator: Generator, latent: Latent, offset: Tensor, weight: Tensor
    ) -> Displacement:
        """What is added to F_i and R_i when `offset` [num_ws, w_dim] is added to the styles (see
        `FeatureEdit`).

        Raises :class:`FingerprintError` for another generator, :class:`UsageError` for another
        layer, for an offset that is not along the direction where F_i was made, and for strengths
        beyond twice the trained ones.
        """
        # The model's own generator and layer.
        self.check_generator(generator)
        if latent.space.layer != self.layer or latent.features is None:
            raise UsageError(
                f"the attribute model of {self.direction!r} is for F_{self.layer}, the latent is "
                f"in {latent.space}; train one for it, or use features='residual'"
            )

        # The strength c: what the offset does to the styles that F_i was made of.
        inside = offset[: styles_inside(generator.network, latent.space)]
        if not inside.any():
            return Displacement(None, None)
        strength = self.strength(inside)
        if strength is None:
            raise UsageError(
                f"the offset of the first {len(inside)} styles is not along {self.direction!r}, "
                "whose attribute model follows all of them at once; leave --styles out, or use "
                "features='residual'"
            )
        if abs(strength) > REACH * self.limit:
            raise UsageError(
                f"strength is {strength:g} σ, the attribute model of {self.direction!r} holds "
                f"within ±{REACH * self.limit:g}; use less, or features='residual'"
            )

        return Displacement(*self.flow.displacement(latent.features, latent.rgb, strength, weight))

    def strength(self, inside: Tensor) -> float | None:
        """c of an offset [n, w_dim] = c · step on the styles that F_i was made of; None where it is
        no multiple.
        """
        if inside.shape != self.offset.shape:
            return None
        step, inside = self.offset.cpu().double(), inside.detach().cpu().double()
        strength = (inside * step).sum() / step.square().sum()
        if (inside - strength * step).norm() > TOLERANCE * inside.norm():
            return None
        return strength.item()

    def check_generator(self, generator: Generator) -> None:
        """Raise :class:`FingerprintError` unless the model was trained for this generator."""
        if self.fingerprint != generator.fingerprint:
            raise FingerprintError(
                f"the attribute model of {self.direction!r} belongs to another generator "
                f"({self.fingerprint[:12]}), expected one of {generator.name or 'this one'} "
                f"({generator.fingerprint[:12]}); train one with `invert train attribute`"
            )

    def half(self) -> AttributeModel:
        """The model with weights rounded to float16, as files that are shipped store them."""
        flow = self.flow
        return replace(self, flow=LinearFlow(flow.basis.half(), flow.kernel.half(), flow.rgb_scale))
