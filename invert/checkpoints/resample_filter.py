"""The taps of the resampling filter, recovered from the blur kernels that checkpoints store as
buffers.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from invert.errors import ModelFileError
from invert.networks.stylegan2 import DEFAULT_RESAMPLE_FILTER


def resample_taps(kernels: Mapping[str, Tensor]) -> list[float]:
    """The 1-D filter whose outer product every kernel is, up to a factor; integers where ratios are
    integers.

    Kernels are [k, k], or [k] where ADA keeps a long filter separable. Their gain (1, or 4 where
    rosinality
    puts the gain of upsampling into the kernel) is the network's business and divided out. Raises
    ModelFileError when the kernels differ or are not such a product. [1, 3, 3, 1] when there are
    none.
    """
    taps: Tensor | None = None
    for name, kernel in kernels.items():
        kernel = kernel.detach().double()
        total = kernel.sum()
        if (
            kernel.ndim not in (1, 2)
            or not 1 <= kernel.shape[0] <= 64
            or not torch.isfinite(total)
            or total == 0
        ):
            raise ModelFileError(f"{name} is no resampling filter; the file is damaged")
        kernel = kernel / total
        axis = kernel if kernel.ndim == 1 else kernel.sum(dim=1)
        if kernel.ndim == 2:
            product = torch.outer(axis, axis)
            if product.shape != kernel.shape or not torch.allclose(product, kernel, atol=1e-6):
                raise ModelFileError(
                    f"{name} is not a separable symmetric filter; only those are supported"
                )
        if taps is None:
            taps = axis
        elif taps.shape != axis.shape or not torch.allclose(taps, axis, atol=1e-6):
            raise ModelFileError(
                f"{name} differs from the other resampling filters; one filter is supported"
            )
    if taps is None:
        return list(DEFAULT_RESAMPLE_FILTER)
    smallest = taps[taps.abs() > 1e-6].abs().min()
    ratios = taps / smallest
    if torch.allclose(ratios, ratios.round(), atol=1e-4):
        return [float(tap) for tap in ratios.round()]
    return [float(tap) for tap in taps.float()]
