"""The attribute models that come with invert, and which feature edit goes with a direction."""

from __future__ import annotations

from pathlib import Path

from directions.direction import Direction
from edits.attributes.files import load_attribute_model
from edits.attributes.model import AttributeModel
from edits.feature_edit_names import FEATURE_EDITS, current_name
from edits.feature_edits import FeatureEdit
from invert.errors import UsageError, did_you_mean
from invert.generator import Generator
from invert.latents.latent import Latent
from invert.latents.layer_ranges import StyleRange, styles_inside
from invert.latents.spaces import Space
from invert.projection.companion import has_companion

FOLDER = Path(__file__).parent / "models"
SUFFIX = ".safetensors"
FEATURES = ("auto", "residual", "difference", "model", "keep")


def file_name(direction: str, layer: int, generator: str) -> str:
    """The name of a shipped file. What it holds is decided by its metadata."""
    return f"{direction}-layer{layer}-{generator}{SUFFIX}"


def find_model(
    generator: Generator, direction: Direction, layer: int, *, folder: Path = FOLDER
) -> AttributeModel | None:
    """The model in `folder` of this direction, layer and generator; None where there is none.

    A direction of the same name with other vectors is another direction.
    """
    inside = direction.offset(generator.num_ws, 1.0)[
        : styles_inside(generator.network, Space("W+", layer))
    ]
    for path in sorted(folder.glob(file_name(direction.name, layer, "*"))):
        model = load_attribute_model(path)
        if model.fingerprint == generator.fingerprint and model.strength(inside) is not None:
            return model
    return None


def feature_edit_for(
    features: str,
    generator: Generator,
    latent: Latent,
    direction: Direction,
    styles: StyleRange | None = None,
    *,
    folder: Path = FOLDER,
) -> tuple[str, FeatureEdit]:
    """How an edit of `latent` along `direction` (in `styles`) changes F_i and R_i: name and edit.

    features  "residual", "difference" and "keep" are themselves; "model" is the model of `folder`;
              a path ending in .safetensors is the model in that file. "auto" is "residual" where
              the latent has a companion, else "model" where there is one; "keep" only where the
              features do not change: the latent has none, or the edit leaves the styles that made
              them

    Raises :class:`UsageError` where that leaves none: styles alone would change less than the
    direction says.
    """
    # What the user named: a feature edit, or the file of a model.
    features = current_name(features)
    if features in FEATURE_EDITS:
        return features, FEATURE_EDITS[features]
    if features.endswith(SUFFIX) or (features not in FEATURES and Path(features).is_file()):
        return features, load_attribute_model(features, generator)
    if features not in FEATURES:
        near = did_you_mean(features, FEATURES, {"none": "keep"})
        raise UsageError(
            f"unknown feature edit {features!r}; known: {', '.join(FEATURES)}, or the path of an "
            f"attribute model{near}"
        )

    # Where no style before layer i moves, F_i stays as it is.
    layer = latent.space.layer
    offset = direction.offset(generator.num_ws, 1.0, styles)
    if layer is None or not offset[: styles_inside(generator.network, latent.space)].any():
        return "keep", FEATURE_EDITS["keep"]

    # The companion first, then a model of this direction and layer.
    if features == "auto" and has_companion(generator, latent):
        return "residual", FEATURE_EDITS["residual"]
    model = find_model(generator, direction, layer, folder=folder)
    if model is not None:
        return "model", model

    reason = "the companion of this latent does not serve the edit, and "
    title = generator.name or "this generator"
    raise UsageError(
        f"{'' if features == 'model' else reason}no attribute model of {direction.name!r} for "
        f"F_{layer} of {title} is here; train one with `invert train attribute --direction "
        f"{direction.name} --layer {layer}` and use its file, or keep the features"
    )
