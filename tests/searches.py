"""Searches and samples so short that a slow device can make them; what they find is poor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import invert.encoders.training
import invert.projection.companion
import invert.projection.companion_search


@contextmanager
def short_searches() -> Iterator[None]:
    """Companions in every window that is searched; an encoder's statistics of four samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(invert.projection.companion, "MAX_UNEXPLAINED", 1e9)
        patch.setattr(invert.projection.companion_search, "SEARCH_STEPS", 1)
        patch.setattr(invert.projection.companion_search, "MAX_UNEXPLAINED", 1e9)
        patch.setattr(invert.encoders.training, "STATISTICS_COUNT", 4)
        yield
