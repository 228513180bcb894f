"""States of trainings between devices."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def on_cpu(state: Any) -> Any:
    """The state with the tensors of its dicts and lists on the CPU."""
    if isinstance(state, dict):
        return {name: on_cpu(part) for name, part in state.items()}
    if isinstance(state, list):
        return [on_cpu(part) for part in state]
    return state.cpu() if isinstance(state, Tensor) else state
