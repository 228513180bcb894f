"""The taps of the resampling filter, from the blur kernels that checkpoints keep as buffers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from invert.errors import ModelFileError
from invert.networks.stylegan2 import DEFAULT_RESAMPLE_FILTER

MAX_TAPS = 64


def resample_taps(kernels: Mapping[str, Tensor]) -> list[float]:
    """The 1-D filter whose outer product every kernel is, up to a factor; [1, 3, 3, 1] without any.

    Taps are integers where their ratios are. Raises ModelFileError when the kernels differ or are
    not such a product.
    """
    taps: Tensor | None = None
    for name, kernel in kernels.items():
        axis = axis_of_kernel(name, kernel)
        if taps is None:
            taps = axis
        elif taps.shape != axis.shape or not torch.allclose(taps, axis, atol=1e-6):
            raise ModelFileError(
                f"{name} differs from the other resampling filters; one filter is supported"
            )
    if taps is None:
        return list(DEFAULT_RESAMPLE_FILTER)

    # In units of the smallest tap.
    ratios = taps / taps[taps.abs() > 1e-6].abs().min()
    if torch.allclose(ratios, ratios.round(), atol=1e-4):
        return [float(tap) for tap in ratios.round()]
    return [float(tap) for tap in taps.float()]


def axis_of_kernel(name: str, kernel: Tensor) -> Tensor:
    """The taps [k], of sum 1, of a kernel [k, k], or [k] where ADA keeps a long filter separable.

    The gain (1, or 4 where rosinality puts that of upsampling into the kernel) is divided out: it
    is the network's business.
    """
    kernel = kernel.detach().double()
    total = kernel.sum()
    sized = kernel.ndim in (1, 2) and 1 <= kernel.shape[0] <= MAX_TAPS
    if not sized or not torch.isfinite(total) or total == 0:
        raise ModelFileError(f"{name} is no resampling filter; the file is damaged")

    kernel = kernel / total
    if kernel.ndim == 1:
        return kernel

    # Separable and symmetric: the outer product of its marginal with itself.
    axis = kernel.sum(dim=1)
    product = torch.outer(axis, axis)
    if product.shape != kernel.shape or not torch.allclose(product, kernel, atol=1e-6):
        raise ModelFileError(
            f"{name} is not a separable symmetric filter; only those are supported"
        )
    return axis
