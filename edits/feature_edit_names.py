"""The names of feature edits, for callers and for the log of edits."""

from __future__ import annotations

import warnings
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from edits.feature_edits import CompanionDifference, FeatureEdit, KeepFeatures, ResidualWarp
from edits.log import digest
from invert.errors import UsageError

FEATURE_EDITS: dict[str, FeatureEdit] = {
    "residual": ResidualWarp(),
    "difference": CompanionDifference(),
    "keep": KeepFeatures(),
}
OLD_NAMES = {"repaint": "residual", "styles": "keep"}  # accepted in this version, then no more


def named_feature_edit(features: str | FeatureEdit) -> FeatureEdit:
    """The feature edit of a name; an object passes through.

    An attribute model belongs to a direction: `edits.attributes.catalog.feature_edit_for` finds it.
    Raises :class:`UsageError` for an unknown name, and for what is neither name nor object.
    """
    if not isinstance(features, str):
        check_feature_edit(features)
        return features

    name = current_name(features)
    if name not in FEATURE_EDITS:
        raise UsageError(
            f"unknown feature edit {features!r}; known: {', '.join(FEATURE_EDITS)}, "
            "or what feature_edit_for returns"
        )
    return FEATURE_EDITS[name]


def check_feature_edit(features: Any) -> None:
    """Raise :class:`UsageError` unless it is an object with a :class:`FeatureEdit`'s method."""
    if isinstance(features, type):
        name = features.__name__
        raise UsageError(f"expected a feature edit, got the class {name}; {name}() makes one")
    if not callable(getattr(features, "displacement", None)):
        raise UsageError(
            f"expected a feature edit, got {features!r}; give one of {', '.join(FEATURE_EDITS)}, "
            "or an object with the method `displacement`"
        )


def current_name(features: str) -> str:
    """The name of a feature edit today; warns about a name of earlier versions."""
    if features not in OLD_NAMES:
        return features
    name = OLD_NAMES[features]
    warnings.warn(
        f"the feature edit {features!r} is called {name!r} now", DeprecationWarning, stacklevel=3
    )
    return name


def features_or_carry(
    features: str | FeatureEdit, carry: str | FeatureEdit | None
) -> str | FeatureEdit:
    """`features`, or the value of its old keyword `carry`, with a warning."""
    if carry is None:
        return features
    warnings.warn("the keyword carry= is called features= now", DeprecationWarning, stacklevel=3)
    return carry


def describe_feature_edit(features: FeatureEdit) -> dict[str, Any]:
    """How the log of edits describes a feature edit: name, settings, digest of its weights.

    The name is that of `FEATURE_EDITS`, or else the name of the class.
    """
    names = {type(known): name for name, known in FEATURE_EDITS.items()}
    details: dict[str, Any] = {"name": names.get(type(features), type(features).__name__)}

    if is_dataclass(features):
        values = {field.name: getattr(features, field.name) for field in fields(features)}
        details |= {
            name: value for name, value in values.items() if isinstance(value, (int, float, str))
        }
    if weights := tensors_inside(features):
        details["sha256"] = digest(weights)
    return details


def tensors_inside(part: Any, name: str = "carrier") -> dict[str, Tensor]:
    """The tensors of a dataclass and of the dataclasses in it, by the names of their fields.

    The first name is part of the digests in files, and stays.
    """
    if isinstance(part, Tensor):
        return {name: part}
    if not is_dataclass(part):
        return {}
    return {
        key: tensor
        for field in fields(part)
        for key, tensor in tensors_inside(getattr(part, field.name), f"{name}.{field.name}").items()
    }
