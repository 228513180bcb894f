"""Searches and samples so short that a slow device can make them; what they find is poor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import invert.encoders.training
import invert.projection.companion
import invert.projection.companion_windows


@contextmanager
def short_searches() -> Iterator[None]:
    """Companions at every place that is looked at; an encoder's statistics of four samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(invert.projection.companion, "FOUND", 1e9)
        patch.setattr(invert.projection.companion_windows, "SEARCH_STEPS", 1)
        patch.setattr(invert.projection.companion_windows, "LIKELY", 1e9)
        patch.setattr(invert.encoders.training, "STATISTICS_COUNT", 4)
        yield
