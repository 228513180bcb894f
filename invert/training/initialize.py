"""The old path of :mod:`invert.networks.initialize`, kept for scripts that name it."""

from __future__ import annotations

from invert.networks.initialize import untrained_stylegan2

__all__ = ["untrained_stylegan2"]
