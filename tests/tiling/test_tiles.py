"""A window of a picture is what it is in the whole, for every network, space and kind of part."""

from __future__ import annotations

import pytest
import torch
from networks import small_generator, small_mobile
from torch import Tensor

from invert.generator import Generator
from invert.latents.latent import Latent
from invert.networks.windows import Window, resized_window
from invert.tiling.layer_windows import layer_windows
from invert.tiling.parts import LatentParts
from invert.tiling.tiles import render_rows, render_window


def canvas(generator: Generator, space: str, cells: tuple[int, int], seed: int = 0) -> Latent:
    """A point of any size, its maps random and its style maps of different sizes."""
    random = torch.Generator().manual_seed(seed)
    sizes = generator.shapes(space, cells)
    first = int(space[-1])

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=generator.dtype)

    count = generator.num_ws - first + 1
    styles: Tensor | tuple[Tensor, ...] = normal(1, count, generator.w_dim)
    if "S" in space:
        maps = [(1, 1), (3, 2), sizes.inputs[0]]
        styles = tuple(normal(1, generator.w_dim, *maps[k % 3]) for k in range(count))
    return Latent(
        space,  # type: ignore[arg-type]
        styles,
        generator.fingerprint,
        features=normal(1, generator.layer(first).channels, *sizes.features),
        rgb=None if sizes.rgb is None else normal(1, 3, *sizes.rgb),
        noise=tuple(normal(1, 1, *n) for n in sizes.noise) if "N" in space else None,
        metadata=generator.reference,
    )


@pytest.fixture(scope="module")
def stylegan2() -> Generator:
    return small_generator(32, dtype=torch.float64)


@pytest.fixture(scope="module")
def mobile() -> Generator:
    return small_mobile(dtype=torch.float64)


SPACES = ["FNW3", "FSW3", "FNSW4", "FNW5"]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("network", ["stylegan2", "mobile"])
def test_tiles_are_equal_to_the_whole(
    network: str, space: str, request: pytest.FixtureRequest
) -> None:
    generator: Generator = request.getfixturevalue(network)
    latent = canvas(generator, space, (6, 10))
    whole = generator.render(latent)
    strips = list(
        render_rows(generator.network, LatentParts(generator, latent), whole.shape[2:], 16)
    )
    assert [len(strip[0, 0]) for strip in strips[:-1]] == [16] * (len(strips) - 1)
    torch.testing.assert_close(torch.cat(strips, 2), whole, atol=1e-9, rtol=0)


@pytest.mark.parametrize("taps", [[1, 3, 3, 1], [1, 2, 1], [1, 1], [1, 4, 6, 6, 4, 1]])
def test_any_filter_and_any_window_are_equal_to_the_whole(taps: list[int]) -> None:
    from networks import small_checkpoint

    from invert.loading import generator_from_checkpoint

    checkpoint = small_checkpoint(32)
    checkpoint.config["resample_filter"] = taps
    generator = generator_from_checkpoint(checkpoint, name="small", dtype=torch.float64)
    latent = canvas(generator, "FNW3", (6, 6))
    whole, parts = generator.render(latent), LatentParts(generator, latent)
    for rows, columns in [((0, 1), (0, 1)), ((7, 12), (3, 20)), ((23, 24), (1, 24))]:
        part = render_window(generator.network, parts, Window(rows, columns))
        torch.testing.assert_close(part, whole[:, :, slice(*rows), slice(*columns)])


def test_a_point_that_starts_from_the_constant_can_be_tiled(stylegan2: Generator) -> None:
    for space in ("Z", "W", "W+"):
        latent = stylegan2.sample(3, space=space)
        parts = LatentParts(stylegan2, latent)
        whole = stylegan2.render(latent)
        rows = render_rows(stylegan2.network, parts, whole.shape[2:], 16)
        torch.testing.assert_close(torch.cat(list(rows), 2), whole, atol=1e-9, rtol=0)


def test_pictures_that_are_not_square_can_be_tiled() -> None:
    generator = small_generator(32, start=(4, 2), dtype=torch.float64)
    latent = canvas(generator, "FNW4", (6, 10))
    whole = generator.render(latent)
    strips = render_rows(generator.network, LatentParts(generator, latent), whole.shape[2:], 16)
    torch.testing.assert_close(torch.cat(list(strips), 2), whole, atol=1e-9, rtol=0)


@pytest.mark.parametrize("mode", ["const", "none"])
def test_noise_modes_are_those_of_render(stylegan2: Generator, mode: str) -> None:
    latent = canvas(stylegan2, "FW3", (20, 6))
    parts = LatentParts(stylegan2, latent, mode)  # type: ignore[arg-type]
    whole = stylegan2.render(latent, mode)  # type: ignore[arg-type]
    part = render_window(stylegan2.network, parts, Window((31, 70), (2, 9)))
    torch.testing.assert_close(part, whole[:, :, 31:70, 2:9])


def test_random_noise_does_not_depend_on_the_tiles(stylegan2: Generator) -> None:
    latent = canvas(stylegan2, "FW3", (6, 6))
    parts = LatentParts(stylegan2, latent, "random", seed=3)
    a = torch.cat(list(render_rows(stylegan2.network, parts, (24, 24), 16)), 2)
    b = torch.cat(list(render_rows(stylegan2.network, parts, (24, 24), 24)), 2)
    torch.testing.assert_close(a, b)
    other = LatentParts(stylegan2, latent, "random", seed=4)
    assert not torch.allclose(a, next(render_rows(stylegan2.network, other, (24, 24), 24)))


def test_windows_are_those_that_gradients_reach(stylegan2: Generator) -> None:
    latent = canvas(stylegan2, "FW3", (16, 16)).map(lambda t: t.requires_grad_())
    for columns in ((28, 34), (31, 32), (0, 3), (60, 64)):
        image = stylegan2.render(latent)[:, :, 30:34, slice(*columns)]
        f, r = torch.autograd.grad(image.square().sum(), [latent.features, latent.rgb])
        reached = torch.stack([f.abs().sum((0, 1, 2)), torch.zeros(16, dtype=f.dtype)])
        reached[1] = r.abs().sum((0, 1, 2)).repeat_interleave(2)
        cells = reached.sum(0).nonzero().flatten()
        window = Window((30, 34), columns)
        first, stop = layer_windows(stylegan2.network, 3, window, (64, 64))[0].columns
        # Nothing is left out, and even edges add no more than a cell of R_i.
        assert first <= cells[0] <= first + 2
        assert stop - 2 <= cells[-1] + 1 <= stop


def test_resized_windows_are_those_of_interpolate() -> None:
    x = torch.randn(1, 2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for size in ((5, 3), (17, 12), (5, 30), (20, 9)):
        whole = torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=False)
        part = resized_window(x, size, Window((1, 5), (2, 3)))
        torch.testing.assert_close(part, whole[:, :, 1:5, 2:3])
