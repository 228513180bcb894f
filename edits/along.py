"""Along a direction that has a name: what `invert edit` does."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from directions.catalog import find
from directions.direction import Direction
from edits.apply import moved, way_facts
from edits.attributes.catalog import carrier_for
from edits.feature_edits import Carrier
from edits.log import direction_facts, record
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.layer_ranges import StyleRange
from invert.projection.companion import ensure_companion

THROUGH_COMPANION = ("auto", "repaint", "difference")  # ways to carry that want a companion
UNIT = "standard deviations of W along the direction"  # of strength, in the log of edits


def edit(
    generator: Generator,
    latent: Latent,
    direction: str | Path | Direction,
    strength: float,
    *,
    styles: StyleRange | None = None,
    carry: str | Carrier = "auto",
    mask: Tensor | None = None,
) -> Latent:
    """The latent `strength` σ along a direction; σ is the standard deviation of W along it.

    direction  of the catalogue, by name, a direction file, or a :class:`Direction`
    styles     (first, stop), the half-open range of 0-based styles that move; the direction's own by
               default
    carry      how F_i follows: "auto", "repaint", "difference", "model", "styles" or the path of an
               attribute model (`edits.attributes.catalog.carrier_for`), or any :class:`Carrier`
    mask       [1, 1, H, W] in [0, 1] at the image's size: only there

    A latent that lacks a companion and can have one gets it first, which takes seconds. Raises
    :class:`UsageError` for
    unknown names, masks of another size and edits that nothing can carry, :class:`ModelFileError`
    for files that are
    not directions or models, :class:`LatentError` for a latent that does not fit the generator, and
    :class:`FingerprintError` for a direction of another one.
    """
    chosen = direction if isinstance(direction, Direction) else find(direction)
    chosen.check_generator(generator)
    if carry in THROUGH_COMPANION:
        latent = ensure_companion(generator, latent)
    carrier = (
        carrier_for(carry, generator, latent, chosen, styles)[1]
        if isinstance(carry, str)
        else carry
    )
    offset = chosen.offset(generator.num_ws, strength, styles)
    result = moved(generator, latent, offset, carrier, mask)
    facts = {
        "direction": direction_facts(chosen),
        "strength": float(strength),
        "unit": UNIT,
        "layers": list(chosen.style_range(generator.num_ws, styles)),
    }
    return record(result, "move", {**facts, **way_facts(result, carrier, mask)})
