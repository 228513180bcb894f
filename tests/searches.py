"""Searches and samples so short that a slow device can make them; what they find is poor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import invert.companion_places
import invert.companions
import invert.training.encoder


@contextmanager
def short_searches() -> Iterator[None]:
    """Companions at every place that is looked at; an encoder's statistics of four samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(invert.companions, "FOUND", 1e9)
        patch.setattr(invert.companion_places, "SEARCH_STEPS", 1)
        patch.setattr(invert.companion_places, "LIKELY", 1e9)
        patch.setattr(invert.training.encoder, "STATISTICS_COUNT", 4)
        yield
