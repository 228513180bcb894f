"""Pictures of a plane without edges: a larger one contains the smaller one."""

from __future__ import annotations

import pytest
import torch
from networks import small_generator

from invert.errors import UsageError
from invert.generator import Generator
from invert.latent_maps.kinds import new_latent_map
from invert.networks.windows import Window
from invert.tiling.placed_parts import PlacedParts
from invert.tiling.placed_styles import PlacedStyles
from invert.tiling.tiles import render_rows, render_window


@pytest.fixture(scope="module")
def generator() -> Generator:
    return small_generator(32)


def plane(generator: Generator, name: str = "blurred", seed: int = 0) -> PlacedParts:
    """That of a plain generator from layer 3 on, as if F_3 were drawn."""
    latent_map = new_latent_map(name, generator.layer(3).channels, 8)
    styles = [generator.random_w(1, torch.Generator().manual_seed(seed))] * (generator.num_ws - 2)
    return PlacedParts(generator.network, 3, latent_map, styles, seed)


def picture(generator: Generator, parts: PlacedParts, size: tuple[int, int], tile: int = 32):
    return torch.cat(list(render_rows(generator.network, parts, size, tile)), 2)


@pytest.mark.parametrize("name", ["blurred", "normal", "polygons"])
def test_the_top_left_quarter_of_a_larger_picture_is_the_smaller_one(
    generator: Generator, name: str
) -> None:
    parts = plane(generator, name)
    small, large = (picture(generator, parts, (side, side)) for side in (48, 96))
    torch.testing.assert_close(large[:, :, :48, :48], small, atol=1e-4, rtol=0)


def test_a_window_anywhere_is_what_a_picture_of_it_all_shows(generator: Generator) -> None:
    parts = plane(generator)
    whole = render_window(generator.network, parts, Window((-40, 40), (-40, 40)))
    part = render_window(generator.network, parts, Window((-7, 20), (3, 40)))
    torch.testing.assert_close(part, whole[:, :, 33:60, 43:80], atol=1e-4, rtol=0)


def test_tiles_of_any_size_make_the_same_picture(generator: Generator) -> None:
    parts = plane(generator)
    pictures = [picture(generator, parts, (40, 72), tile) for tile in (16, 33, 72)]
    for other in pictures[1:]:
        torch.testing.assert_close(other, pictures[0], atol=1e-4, rtol=0)


def varied(generator: Generator, cells: int) -> PlacedParts:
    """The plane of seed 0 with a w for every few cells."""
    latent_map = new_latent_map("normal", generator.layer(3).channels, 8)
    styles = PlacedStyles(generator, 0, cells)
    return PlacedParts(generator.network, 3, latent_map, styles, 0)


def test_styles_by_place_are_those_of_any_tile_and_any_larger_picture(generator: Generator) -> None:
    parts = varied(generator, 3)
    whole = render_window(generator.network, parts, Window((-40, 40), (-40, 40)))
    part = render_window(generator.network, parts, Window((-7, 20), (3, 40)))
    torch.testing.assert_close(part, whole[:, :, 33:60, 43:80], atol=1e-4, rtol=0)


def test_styles_by_place_change_slowly_in_large_squares(generator: Generator) -> None:
    # The style of a layer within a square, relative to how far styles of squares differ.
    def spread(cells: int) -> float:
        window = Window((0, 8), (0, 8))
        found = PlacedStyles(generator, 0, cells).window(3, window)
        return found.resized(found.styles, window.size).var((2, 3)).mean().item()

    assert spread(64) < 0.1 * spread(2)


def test_seeds_make_different_planes(generator: Generator) -> None:
    a, b = (picture(generator, plane(generator, seed=seed), (16, 16)) for seed in (1, 2))
    assert (a - b).abs().mean() > 0.1


def test_the_plane_is_alike_everywhere(generator: Generator) -> None:
    # Mean and spread of windows at the origin and far away: no edge, no place that is special.
    parts = plane(generator, "normal")
    near, far = (
        render_window(generator.network, parts, Window((at, at + 64), (at, at + 64)))
        for at in (-32, 10**9)
    )
    spread = near.std()
    assert (near.mean() - far.mean()).abs() < 0.2 * spread
    assert 0.8 < far.std() / spread < 1.25


def test_styles_of_other_layers_are_refused(generator: Generator) -> None:
    parts = plane(generator)
    with pytest.raises(UsageError, match="expected 6 styles from layer 3 on, got 5"):
        PlacedParts(generator.network, 3, parts.latent_map, parts.styles[1:], 0)
