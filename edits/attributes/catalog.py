"""The attribute models that come with invert, and which carrier an edit along a direction takes."""

from __future__ import annotations

from pathlib import Path

from directions.direction import Direction
from edits.attributes.model import AttributeModel
from edits.feature_edits import CARRIERS, Carrier
from invert.errors import UsageError, did_you_mean
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.layer_ranges import StyleRange, styles_inside
from invert.latents.spaces import Space
from invert.projection.companion import has_companion

FOLDER = Path(__file__).parent / "models"
SUFFIX = ".safetensors"
CARRY = ("auto", "repaint", "difference", "model", "styles")


def file_name(direction: str, layer: int, generator: str) -> str:
    """The name of a shipped file. What it holds is decided by its metadata."""
    return f"{direction}-layer{layer}-{generator}{SUFFIX}"


def find_model(
    generator: Generator, direction: Direction, layer: int, *, folder: Path = FOLDER
) -> AttributeModel | None:
    """The model in `folder` of this direction, layer and generator; None where there is none.

    A direction of the same name with other vectors is another direction.
    """
    inside = direction.offset(generator.num_ws, 1.0)[: styles_inside(generator, Space("W+", layer))]
    for path in sorted(folder.glob(file_name(direction.name, layer, "*"))):
        model = AttributeModel.load(path)
        if model.fingerprint == generator.fingerprint and model.strength(inside) is not None:
            return model
    return None


def carrier_for(
    carry: str,
    generator: Generator,
    latent: Latent,
    direction: Direction,
    styles: StyleRange | None = None,
    *,
    folder: Path = FOLDER,
) -> tuple[str, Carrier]:
    """The name of the carrier that an edit of `latent` along `direction` (in `styles`) takes, and
    the carrier.

    carry  "repaint", "difference" and "styles" are themselves; "model" is the model of `folder`; a
           path ending in .safetensors is the model in that file. "auto" is "repaint" where the
           latent's companion can carry, else "model" where there is one; "styles" only where
           nothing has to be carried, because the latent has no features or the edit leaves the
           styles that made them

    Raises :class:`UsageError` where that leaves no carrier: styles alone would change less than was
    asked for.
    """
    if carry in CARRIERS:
        return carry, CARRIERS[carry]
    if carry.endswith(SUFFIX) or (carry not in CARRY and Path(carry).is_file()):
        return carry, AttributeModel.load(carry, generator)
    if carry not in CARRY:
        near = did_you_mean(carry, CARRY, {"none": "styles"})
        raise UsageError(
            f"unknown carrier {carry!r}; known: {', '.join(CARRY)}, or the path of an attribute model{near}"
        )
    layer = latent.space.layer
    offset = direction.offset(generator.num_ws, 1.0, styles)
    if layer is None or not offset[: styles_inside(generator, latent.space)].any():
        return "styles", CARRIERS["styles"]
    if carry == "auto" and has_companion(generator, latent):
        return "repaint", CARRIERS["repaint"]
    model = find_model(generator, direction, layer, folder=folder)
    if model is not None:
        return "model", model
    reason = "" if carry == "model" else "the companion of this latent cannot carry the edit, and "
    title = generator.name or "this generator"
    raise UsageError(
        f"{reason}no attribute model of {direction.name!r} for F_{layer} of {title} is here; "
        f"train one with `invert train attribute --direction {direction.name} --layer {layer}` and carry its file, "
        "or carry styles only"
    )
