"""Shares of variance that encodings miss: 1 is as good as knowing the mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from invert.encoders.encoding import Encoding
from invert.encoders.samples import Samples

CHUNK = 32


@dataclass(frozen=True)
class Spread:
    """How the parts of generated points are distributed.

    feature_mean  of each channel of F_i, [C, 1, 1]
    feature_std   of each channel of F_i, [C, 1, 1]
    variances     of F, styles and, where there is one, R, about their means
    """

    feature_mean: Tensor
    feature_std: Tensor
    variances: dict[str, float]

    def missed(self, encoding: Encoding, target: Encoding) -> dict[str, Tensor]:
        """Mean squared errors of F, styles and R in units of their variance."""
        pairs = {
            "features": (encoding.features, target.features),
            "styles": (encoding.styles, target.styles),
        }
        if encoding.rgb is not None and target.rgb is not None:
            pairs["rgb"] = (encoding.rgb, target.rgb)
        return {name: F.mse_loss(x, y) / self.variances[name] for name, (x, y) in pairs.items()}


def measure_spread(samples: Samples, count: int) -> Spread:
    """The spread of the first points."""
    starts = range(0, count, CHUNK)
    parts = [samples.points(k, min(CHUNK, count - n)).encoding for k, n in enumerate(starts)]

    # Mean and deviation of each channel of F_i.
    features = torch.cat([part.features for part in parts])
    mean = features.mean(dim=(0, 2, 3))[:, None, None]
    std = features.std(dim=(0, 2, 3))[:, None, None]

    # Variance of each part about its mean.
    styles = torch.cat([part.styles for part in parts])
    variances = {
        "features": (features - mean).square().mean().item(),
        "styles": (styles - samples.generator.w_avg).square().mean().item(),
    }
    if parts[0].rgb is not None:
        rgb = torch.cat([part.rgb for part in parts if part.rgb is not None])
        centred = rgb - rgb.mean(dim=(0, 2, 3), keepdim=True)
        variances["rgb"] = centred.square().mean().item()
    return Spread(mean, std, variances)
