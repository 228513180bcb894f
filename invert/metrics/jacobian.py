"""The Jacobian of pictures with respect to w: its singular values, and path lengths ([K] C).

J_w = ∂g(w)/∂w / √(H·W), [3·H·W, w_dim]. The scale is that of NVIDIA's path length regularizer, so
numbers of different resolutions can be compared: a singular value is the root of the summed square
change of a pixel's three values, on average over pixels, per unit of w.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from invert.arguments import check_seeds
from invert.errors import UsageError
from invert.generator import Generator, NoiseMode
from invert.hardware.modes import default_modes
from invert.hardware.precision import full_precision
from invert.latents.latent import Latent
from invert.metrics.generated import sampled, w_of, with_w
from invert.metrics.picture_sets import batch_size

MAX_VALUES = 1 << 28  # of a Jacobian that is held whole, a gigabyte in float32
OVERSAMPLING = 8  # directions beyond the rank that is asked for (Halko et al.)
POWER_ITERATIONS = 2


def jacobians(
    generator: Generator,
    seeds: Sequence[int],
    *,
    rank: int | None = None,
    psi: float = 1.0,
    label: int | None = None,
    noise: NoiseMode = "random",
    callback: Callable[[int], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Singular values [N, k], descending, and path lengths [N] at the points of seeds.

    Both are float64 on the CPU; see :func:`singular_values` and :func:`path_length`. `callback`
    gets the number of points after each.
    """
    spectra, lengths = [], []
    for done, seed in enumerate(check_seeds(seeds), 1):
        latent = sampled(generator, [seed], psi=psi, label=label, noise=noise)
        spectra.append(singular_values(generator, latent, rank=rank, seed=seed))
        lengths.append(path_length(generator, latent, seed=seed))
        if callback is not None:
            callback(done)
    return torch.stack(spectra), torch.tensor(lengths, dtype=torch.float64)


@default_modes()
def path_length(generator: Generator, latent: Latent, *, seed: int) -> float:
    """‖J_wᵀ y‖ of one :func:`sampled` point for y ~ N(0, 1)^[3, H, W] drawn from `seed`, [K] eq. 4.

    The mean of its square over y is ‖J_w‖²_F.
    """
    random = torch.Generator().manual_seed(seed)
    shape = (1, 3, *generator.check(latent).image)
    y = torch.randn(shape, generator=random, dtype=torch.float32)
    return transposed_products(generator, latent, y).norm().item()


@default_modes()
def singular_values(
    generator: Generator, latent: Latent, *, rank: int | None = None, seed: int = 0
) -> Tensor:
    """Singular values of J_w at one :func:`sampled` point, descending, float64 on the CPU.

    Without `rank` all min(w_dim, 3·H·W) of them, from the whole Jacobian. Else the largest `rank`,
    nearly, from a randomized decomposition with two power iterations (Halko, Martinsson and Tropp
    2011), whose directions are drawn from `seed`. Raises :class:`UsageError` for a Jacobian that is
    too large to be whole, and for a rank above its width.
    """
    width = generator.w_dim
    height = 3 * math.prod(generator.check(latent).image)
    if rank is not None and not 1 <= rank <= width:
        raise UsageError(f"rank is an integer in [1, {width}], got {rank}")

    if rank is None or rank + OVERSAMPLING >= min(width, height):
        if height * width > MAX_VALUES:
            raise UsageError(
                f"a Jacobian of {height}×{width} values is too large to be whole; "
                "--rank N finds its N largest singular values"
            )
        columns = products(generator, latent, torch.eye(width, dtype=torch.float32))
        values = torch.linalg.svdvals(torch.linalg.qr(columns.T, mode="r").R)
        return values[:rank].cpu().double()

    # The range of J from random directions, sharpened by JJᵀ twice; then J inside that range.
    random = torch.Generator().manual_seed(seed)
    shape = (rank + OVERSAMPLING, width)
    directions = torch.randn(shape, generator=random, dtype=torch.float32)
    for _ in range(1 + POWER_ITERATIONS):
        basis = torch.linalg.qr(products(generator, latent, directions).T).Q.T  # [k, 3·H·W]
        inside = transposed_products(generator, latent, basis)  # [k, w_dim]
        directions = torch.linalg.qr(inside.T).Q.T
    return torch.linalg.svdvals(inside)[:rank].cpu().double()


def products(generator: Generator, latent: Latent, directions: Tensor) -> Tensor:
    """J v of one point for rows v [k, w_dim], by forward differentiation: [k, 3·H·W]."""
    w, results = w_of(latent).detach(), []
    for part in parts(generator, latent, directions):
        with forward_ad.dual_level(), full_precision(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch's own use of torch.jit
            # A gradient is asked for so that `render` keeps derivatives; none is taken.
            dual = forward_ad.make_dual(
                w.expand(len(part), -1).clone().requires_grad_(), part.to(w)
            )
            image = generator.render(with_w(repeated(latent, len(part)), dual))
            tangent = forward_ad.unpack_dual(image).tangent
        assert tangent is not None
        results.append(tangent.detach().flatten(1) / pixel_root(tangent))
    return torch.cat(results)


def transposed_products(generator: Generator, latent: Latent, cotangents: Tensor) -> Tensor:
    """Jᵀ y of one point for y [k, 3·H·W] or [k, 3, H, W], by backpropagation: [k, w_dim]."""
    w, results = w_of(latent).detach(), []
    for part in parts(generator, latent, cotangents):
        with torch.enable_grad(), full_precision():
            ws = w.expand(len(part), -1).clone().requires_grad_()
            image = generator.render(with_w(repeated(latent, len(part)), ws))
            (gradient,) = torch.autograd.grad((image * part.to(image).view_as(image)).sum(), ws)
        results.append(gradient / pixel_root(image))
    return torch.cat(results)


def parts(generator: Generator, latent: Latent, rows: Tensor) -> Iterator[Tensor]:
    """The rows in as many parts as pictures are computed together."""
    yield from rows.split(batch_size(generator.check(latent).image))


def repeated(latent: Latent, count: int) -> Latent:
    """One point `count` times."""
    return latent.map(lambda t: t.expand(count, *t.shape[1:]))


def pixel_root(images: Tensor) -> float:
    """√(H·W)."""
    return math.sqrt(images.shape[2] * images.shape[3])
