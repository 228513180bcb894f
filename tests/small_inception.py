"""torch-fidelity's Inception with random weights, in a file like its own."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch


def write_inception(path: Path) -> Path:
    """The file; skips the test where torch-fidelity is not installed."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    class Untrained(module.FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *_: Any) -> None:
            """Keep the random weights."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.device("meta"):
        network = Untrained("untrained", ["2048"], feature_extractor_weights_path=nothing)

    # He's initialization, so that pictures still differ behind 90 layers; norms that do nothing.
    random = torch.Generator().manual_seed(0)
    state = {}
    for name, t in network.state_dict().items():
        if t.ndim > 1:
            scale = (2 / t[0].numel()) ** 0.5
            state[name] = torch.randn(t.shape, generator=random) * scale
        else:
            one = name.endswith(("bn.weight", "running_var"))
            state[name] = torch.full(t.shape, int(one), dtype=t.dtype)
    torch.save(state, path)
    return path
